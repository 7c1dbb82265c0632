package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// A rule asks for an action; it waits for a person, who approves it on the command line; the service is asked, signed, and all of it is told.
func TestRespondAfterApproval(t *testing.T) {
	var mu sync.Mutex
	var asked []map[string]any
	var unsigned int
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		var m map[string]any
		mu.Lock()
		defer mu.Unlock()
		if err := json.Unmarshal(body, &m); err != nil {
			t.Errorf("body %q: %v", body, err)
		}
		if !strings.HasPrefix(r.Header.Get("X-Gatebook-Signature"), "t=") {
			unsigned++
		}
		asked = append(asked, m)
	}))
	defer service.Close()

	s := newSite(t, "")
	rules := filepath.Join(s.dir, "rules.hcl")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(rules, `
rule "test.guessing" {
  title    = "Guessing of ${key}"
  severity = "high"
  mode     = "respond"
  when     = event.action == "login" && event.outcome == "failure"
  by       = [user.name]
  window   = "15m"
  fire     = count() >= 3
  respond "disable_user" {
    ttl     = "1h"
    approve = "manual"
  }
}
`)
	out := filepath.Join(s.dir, "out.ndjson")
	s.configure(fmt.Sprintf(`
rules {
  library = false
  paths   = [%q]
}
respond "disable_user" {
  url     = %q
  secret  = "test-secret-test-secret"
  target  = "user"
  allow   = ["127.0.0.0/8"]
  never   = ["root"]
  dry_run = false
  approve = "manual"
}
`, rules, service.URL), fmt.Sprintf("output \"file\" \"out\" { path = %q }\n", out))
	for _, user := range []string{"bob", "root"} {
		for i := range 3 {
			line := fmt.Sprintf("%s web01 sshd[%d]: Failed password for %s from 203.0.113.9 port 40022 ssh2\n", time.Now().UTC().Add(time.Duration(i-9)*time.Second).Format(time.RFC3339), 300+i, user)
			f, err := os.OpenFile(s.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(line); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
	}
	p := s.start()
	gatebook := func(args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if code := run(context.Background(), append(args, "--config", s.config), strings.NewReader(""), &stdout, &stderr); code != 0 {
			t.Fatalf("%v: %s", args, stderr.String())
		}
		return stdout.String()
	}
	var pending struct{ ID, Action, Target string }
	testkit.Eventually(t, 30*time.Second, func() error {
		list := strings.TrimSpace(gatebook("respond", "list", "--output", "json"))
		if strings.Count(list, "\n") != 0 || list == "" {
			return fmt.Errorf("waiting: %q\n%s", list, p.Stderr())
		}
		return json.Unmarshal([]byte(list), &pending)
	})
	if pending.Action != "disable_user" || !strings.Contains(pending.Target, "bob") {
		t.Fatalf("waiting: %+v", pending)
	}
	gatebook("respond", "approve", pending.ID, "--by", "alice")
	testkit.Eventually(t, 30*time.Second, func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(asked) != 1 {
			return fmt.Errorf("asked %v\n%s", asked, p.Stderr())
		}
		return nil
	})
	if a := asked[0]; a["action"] != "disable_user" || a["approved_by"] != "alice" || a["rule"] != "test.guessing" || unsigned > 0 {
		t.Errorf("asked: %v, %d unsigned", a, unsigned)
	}
	testkit.Eventually(t, 30*time.Second, func() error {
		b, err := os.ReadFile(out)
		if err != nil {
			return err
		}
		for _, code := range []string{"pending", "approved", "done", "refused"} {
			if !bytes.Contains(b, []byte(`"code":"`+code+`"`)) {
				return fmt.Errorf("no event says %q:\n%s\n%s", code, b, p.Stderr())
			}
		}
		return nil
	})
	if code := p.Term(20 * time.Second); code != 0 {
		t.Errorf("exit code %d: %s", code, p.Stderr())
	}
}
