package elastic

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestScan(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		var a Answer
		var got string
		if err := a.Scan([]byte(body)); err != nil {
			got = "error"
		} else {
			got = fmt.Sprint(a.Items)
			for _, r := range a.Runs {
				got += fmt.Sprintf(" <%d:%s", r.End, r.Index)
			}
			for i := range a.Failed {
				x := &a.Failed[i]
				got += fmt.Sprintf(" %d:%d:%s:%s", x.Item, x.Status, x.Type(), x.Reason())
			}
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", body, got, want)
		}
	}
	ok := `{"create":{"_index":".ds-a-1","status":201}}`
	f(`{"errors":false,"items":[`+ok+`]}`, "1 <1:.ds-a-1")
	f(`{"items":[`+ok+`,`+ok+`,`+ok+`],"errors":false,"took":3}`, "3 <3:.ds-a-1")
	f(`{"errors":false,"items":[`+ok+`,{"create":{"_index":".ds-b-1","status":200}},`+ok+`]}`, "3 <1:.ds-a-1 <2:.ds-b-1 <3:.ds-a-1")
	f("\n{ \"errors\" : true , \"items\" : [ { \"create\" : { \"status\" : 429 , \"error\" : { \"type\" : \"t\" , \"reason\" : \"r\" } } } ] } \n", "1 <1: 0:429:t:r")
	// errors:false is not believed: every status is looked at.
	f(`{"errors":false,"items":[`+ok+`,{"create":{"_index":".ds-a-1","status":409}}]}`, "2 <2:.ds-a-1 1:409::")
	f(`{"items":[{"create":{"status":400,"error":{"type":"document_parsing_exception","reason":"[1:2] failed \"x\"\né","caused_by":{"type":"c","reason":"outer","caused_by":{"type":"d","reason":"inner"}},"root_cause":[{"type":"no","reason":"no"}]}}}]}`,
		"1 <1: 0:400:document_parsing_exception:[1:2] failed \"x\"\né: inner")
	f(`{"items":[{"index":{"status":500,"error":"old style \\\\\" text"}}]}`, `1 <1: 0:500::old style \\" text`)
	f(`{"items":[]}`, "0")
	f(`{"items":[`+ok+`]`, "error")
	f(`{"items":[`+ok, "error")
	f(`{"items":[`+ok+` `+ok+`]}`, "error")
	f(`{"items":[`+ok+`],"items":[`+ok+`]}`, "error")
	f(`{"items":[{"create":{"_index":"a"}}]}`, "error") // no status
	f(`{"items":[{"create":{"status":201},"index":{"status":201}}]}`, "error")
	f(`{"items":[{}]}`, "error")
	f(`{"items":[{"create":{"status":-1}}]}`, "error")
	f(`{"items":[{"create":{"status":2010000000000}}]}`, "error")
	f(`{"items":{}}`, "error")
	f(`{"errors":false}`, "error")
	f(`{"items":[`+ok+`]}x`, "error")
	f(`<html>not this</html>`, "error")
	f(``, "error")
	f(`{"items":[{"create":{"x":`+strings.Repeat("[", 1000)+`}}]}`, "error")
	f(`{"items":[{"create":{"error":`+strings.Repeat(`{"caused_by":`, 1000)+`}}]}`, "error")
}

func FuzzScan(f *testing.F) {
	f.Add([]byte(`{"errors":true,"items":[{"create":{"_index":"a","status":201}},{"create":{"_index":"a","status":400,"error":{"type":"t","reason":"\u00e9","caused_by":{"reason":"x"}}}}]}`))
	f.Add([]byte(`{"items":[{"create":{"status":429,"error":"x"}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a Answer
		err := a.Scan(bytes.Clone(b))
		if err != nil {
			return
		}
		for i := range a.Failed {
			x := &a.Failed[i]
			_, _ = x.Type(), x.Reason()
			if x.Item < 0 || x.Item >= a.Items {
				t.Fatalf("failure of item %d of %d", x.Item, a.Items)
			}
		}
		if n := len(a.Runs); a.Items > 0 && a.Runs[n-1].End != a.Items {
			t.Fatalf("runs end at %d of %d", a.Runs[n-1].End, a.Items)
		}
	})
}

func BenchmarkScan(b *testing.B) {
	item := `{"create":{"_index":".ds-logs-gatebook.linux.auth-default-2026.01.01-000001","status":201}}`
	other := `{"create":{"_index":".ds-logs-gatebook.alert-default-2026.01.01-000001","status":201}}`
	run := func(name string, body []byte) {
		b.Run(name, func(b *testing.B) {
			var a Answer
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if err := a.Scan(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("same", []byte(`{"errors":false,"items":[`+strings.Repeat(item+",", 1999)+item+`]}`))
	run("mixed", []byte(`{"errors":false,"items":[`+strings.Repeat(item+","+other+",", 999)+item+`]}`))
	refused := `{"create":{"_index":"a","status":400,"error":{"type":"document_parsing_exception","reason":"failed to parse field","caused_by":{"type":"x","reason":"y"}}}}`
	run("refused", []byte(`{"errors":true,"items":[`+strings.Repeat(refused+",", 1999)+refused+`]}`))
}
