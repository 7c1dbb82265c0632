package outputs

import (
	"testing"

	"github.com/gatebook/gatebook/buffer"
)

const epochA, epochB = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

func TestElasticsearchTakesAll(t *testing.T) {
	for _, gzip := range []bool{true, false} {
		f := newFakeES(t)
		l := openLog(t, t.TempDir(), epochA)
		for i, codec := range []buffer.Codec{buffer.Raw, buffer.Gzip, buffer.S2, buffer.Raw, buffer.Gzip} {
			l.add(codec, string(rune('a'+i)), "linux.auth", 100)
			l.add(codec, string(rune('k'+i)), "activity_log.activity", 10)
		}
		once(t, l.reader("es"), f.output(gzip), Options{Label: "es", Params: Params{Workers: 2}})
		wantAll(t, f.count(), l.total)
		l.wantAccounts("es", l.total, 0, 0)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
