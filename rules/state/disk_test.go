package state_test

import (
	"encoding/binary"
	"testing"

	"github.com/gatebook/gatebook/rules/engine"
	"github.com/gatebook/gatebook/rules/state"
)

var _ engine.Disk = (*state.DB)(nil)

// BenchmarkCommit writes 10,000 rows, of 100,000, all over the keys; BenchmarkGet reads one of them.
func BenchmarkCommit(b *testing.B) {
	d := filled(b)
	rows := make([]state.Row, 10_000)
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		for i := range rows {
			n++
			rows[i] = row(n * 7919 % 100_000)
		}
		if err := d.Commit(state.Commit{Cursor: n, Rows: rows}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	d := filled(b)
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		n++
		if _, ok, err := d.Get(row(n * 7919 % 100_000).Key); !ok || err != nil {
			b.Fatal(err)
		}
	}
}

func row(n uint64) state.Row {
	k := binary.BigEndian.AppendUint64(nil, n%5)
	k = binary.BigEndian.AppendUint64(k, n*0x9e3779b97f4a7c15)
	return state.Row{Key: binary.BigEndian.AppendUint64(k, n), Value: make([]byte, 24), Expires: int64(n)}
}

func filled(b *testing.B) *state.DB {
	d, err := state.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	rows := make([]state.Row, 100_000)
	for i := range rows {
		rows[i] = row(uint64(i))
	}
	if err := d.Commit(state.Commit{Rows: rows}); err != nil {
		b.Fatal(err)
	}
	return d
}
