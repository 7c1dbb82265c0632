package state

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// The process that is killed commits as fast as it can: in commit n the cursor, a blob and some of the rows say n.

const (
	helperDir = "STATE_TEST_HELPER_DIR"
	killRows  = 40
)

func runHelper(dir string) {
	d, err := Open(dir)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	n, _, err := d.Load()
	if err != nil {
		fmt.Println("error", err)
		return
	}
	for {
		n++
		if err := d.Commit(killCommit(n)); err != nil {
			fmt.Println("error", err)
			return
		}
		fmt.Println("committed", n)
	}
}

// killCommit writes row i in every commit that i+1 divides.
func killCommit(n uint64) Commit {
	c := Commit{Cursor: n, Blobs: map[string][]byte{"n": binary.BigEndian.AppendUint64(nil, n)}}
	for i := range uint64(killRows) {
		if n%(i+1) == 0 {
			c.Rows = append(c.Rows, Row{Key: key(i%3, fmt.Sprint(i)), Value: append(binary.BigEndian.AppendUint64(nil, n), make([]byte, 50*i)...), Expires: int64(n)})
		}
	}
	return c
}

func TestKill9(t *testing.T) {
	dir := t.TempDir()
	for range 8 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), helperDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		committed, lines := uint64(0), rand.IntN(200)
		sc := bufio.NewScanner(out)
		for n := 0; sc.Scan(); n++ {
			word, num, _ := strings.Cut(sc.Text(), " ")
			if v, err := strconv.ParseUint(num, 10, 64); word == "committed" && err == nil {
				committed = v
			} else if word == "error" {
				t.Error(sc.Text())
			}
			if n == lines {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait() // it was killed
		d := mustOpen(t, dir, Options{})
		if d.SetAside() != nil {
			t.Fatal(d.SetAside())
		}
		cursor, blobs, err := d.Load()
		if err != nil || cursor < committed {
			t.Fatalf("cursor %d, committed %d, %v", cursor, committed, err)
		}
		if got := binary.BigEndian.Uint64(blobs["n"]); got != cursor {
			t.Errorf("cursor %d, blob %d", cursor, got)
		}
		rows := int64(0)
		for i := range uint64(killRows) {
			want := cursor / (i + 1) * (i + 1) // the last commit that wrote it
			v, ok, err := d.Get(key(i%3, fmt.Sprint(i)))
			if err != nil || ok != (want > 0) || ok && binary.BigEndian.Uint64(v) != want {
				t.Fatalf("row %d: %v, %v; cursor %d", i, ok, err, cursor)
			}
			if ok {
				rows++
			}
		}
		if n, _ := d.Rows(); n != rows {
			t.Errorf("%d rows, counted %d", rows, n)
		}
		d.Close()
	}
}
