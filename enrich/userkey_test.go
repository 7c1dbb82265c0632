package enrich

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

func TestUserKey(t *testing.T) {
	k := NewUserKey(nil)
	f := func(name string, set func(e *event.Event), want string) {
		t.Helper()
		for range 2 {
			var e event.Event
			set(&e)
			k.Enrich(&e)
			if e.UserKey != want {
				t.Errorf("%s: got %q, want %q", name, e.UserKey, want)
			}
		}
	}
	f("nobody", func(e *event.Event) { e.Realm = "web1" }, "")
	f("name alone", func(e *event.Event) { e.User.Name = "bob" }, "bob")
	f("lower case", func(e *event.Event) { e.User.Name = "BoB" }, "bob")
	f("beyond ASCII", func(e *event.Event) { e.User.Name = "Ägir" }, "ägir")
	f("name before e-mail", func(e *event.Event) { e.User.Name, e.User.Email = "bob", "b@example.com" }, "bob")
	f("e-mail before id", func(e *event.Event) { e.User.ID, e.User.Email = "7", "B@example.com" }, "b@example.com")
	f("id", func(e *event.Event) { e.User.ID = "7" }, "7")
	f("realm", func(e *event.Event) { e.User.Name, e.Realm, e.User.Domain = "Bob", "Web1", "x" }, "web1/bob")
	f("organization", func(e *event.Event) { e.User.Name = "bob"; e.NeedOrganization().Name = "ACME" }, "acme/bob")
	f("organization id", func(e *event.Event) { e.User.Name = "bob"; e.NeedOrganization().ID = "42" }, "42/bob")
	f("domain", func(e *event.Event) { e.User.Name, e.User.Domain = "bob", "corp" }, "corp/bob")
	f("about somebody", func(e *event.Event) {
		e.Action, e.User.Name, e.NeedUserTarget().Name = event.PasswordReset, "admin", "Bob"
		e.UserTarget.Domain = "corp"
	}, "corp/bob")
	f("somebody's session ended by another", func(e *event.Event) {
		e.Action, e.User.Name, e.NeedUserTarget().ID = event.SessionRevoke, "admin", "1007"
	}, "1007")
	f("nobody but the recipient", func(e *event.Event) {
		e.Action, e.NeedUserTarget().Email = event.NotificationSend, "kate@example.com"
	}, "kate@example.com")
	f("target that is no account action", func(e *event.Event) {
		e.Action, e.User.Name, e.NeedUserTarget().Name = event.CommandRun, "admin", "bob"
	}, "admin")
	f("account action without target", func(e *event.Event) { e.Action, e.User.Name = event.UserCreate, "admin"; e.NeedUserTarget() }, "admin")
	f("already there", func(e *event.Event) { e.UserKey, e.User.Name = "k", "bob" }, "k")
}

func TestUserKeyAllocatesNothing(t *testing.T) {
	k := NewUserKey(nil)
	plain := event.Event{User: event.User{Name: "root"}}
	realm := event.Event{User: event.User{Name: "Root"}, Realm: "web1"}
	if n := testing.AllocsPerRun(100, func() {
		plain.UserKey, realm.UserKey = "", ""
		k.Enrich(&plain)
		k.Enrich(&realm)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A stream of invented names does not grow the cache, and what is remembered is right.
func TestCacheIsBoundedAndRight(t *testing.T) {
	c := newCache[int](64)
	for i := range 10000 {
		c.put(fmt.Sprint(i), "", i)
	}
	held := 0
	for i := range 10000 {
		if v, ok := c.get(fmt.Sprint(i), ""); ok {
			held++
			if v != i {
				t.Errorf("%d: got %d", i, v)
			}
		}
	}
	if held == 0 || held > 64 {
		t.Errorf("%d remembered", held)
	}
	c.put("a", "b", 1)
	if _, ok := c.get("b", "a"); ok {
		t.Error("the texts changed places")
	}
}

func BenchmarkUserKeyRealm(b *testing.B) {
	k := NewUserKey(nil)
	e := event.Event{User: event.User{Name: "root"}, Realm: "web1"}
	b.ReportAllocs()
	for b.Loop() {
		e.UserKey = ""
		k.Enrich(&e)
	}
}

func aliases(t *testing.T, src string) (*UserKey, conf.Diagnostics) {
	t.Helper()
	f, _ := conf.Parse("config.hcl", []byte(src))
	c := FromConfig(Blocks{Users: f.Body().Block("users").Body}, t.TempDir(), slog.New(slog.DiscardHandler))
	f.Body().Close()
	return c.list[len(c.list)-1].(*UserKey), f.Diagnostics()
}

func TestAliases(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.csv")
	table := "user,id,email,name,realm\nana,1007,\"Ana@example.com; ana.b@example.org\",,acme\ncorp/bob,,bob@example.net,Bob B.,\n"
	if err := os.WriteFile(path, []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
	k, ds := aliases(t, `users {
  aliases = `+strconv.Quote(path)+`
  alias "Carol" {
    names = ["cc", "carol.c"]
    emails = ["carol@example.com"]
  }
}`)
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	f := func(realm string, u event.User, want string) {
		t.Helper()
		for range 2 {
			e := event.Event{User: u, Realm: realm}
			if k.Enrich(&e); e.UserKey != want {
				t.Errorf("%s %+v: %q, want %q", realm, u, e.UserKey, want)
			}
		}
	}
	f("acme", event.User{ID: "1007"}, "acme/ana")
	f("ACME", event.User{Email: "ANA.B@example.org"}, "acme/ana")
	f("acme", event.User{Name: "unknown", Email: "ana@example.com"}, "acme/ana")
	f("other", event.User{ID: "1007"}, "other/1007") // an id of another realm is another's
	f("", event.User{ID: "1007"}, "1007")
	f("acme", event.User{Email: "bob@example.net"}, "corp/bob") // joined over realms
	f("", event.User{Name: "bob b."}, "corp/bob")
	f("web1", event.User{Name: "CC"}, "web1/carol")
	f("", event.User{Email: "carol@example.com"}, "carol")
	f("web1", event.User{Name: "dave"}, "web1/dave")
}

func TestAliasesSayWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	file := func(text string) string {
		path := filepath.Join(dir, "users.csv")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return "users {\n  aliases = " + strconv.Quote(path) + "\n}"
	}
	f := func(src, want string) {
		t.Helper()
		_, ds := aliases(t, src)
		if len(ds) != 1 || !strings.Contains(ds[0].String(), want) {
			t.Errorf("%v, want %q", ds, want)
		}
	}
	f(`users { aliases = "no-such.csv" }`, "no-such.csv: no such file")
	f(file("user,mail\n"), `unknown column "mail"; known are user, id, email, name, realm`)
	f(file("id,email\n"), `the header has no column "user"`)
	f(file("user,id\nana,1\nbob,1\n"), `users.csv:3: "1" is "ana" already`)
	f(file("user,id\n,1\n"), "users.csv:2: the user is empty")
	f(file("user,id\nana\n"), "wrong number of fields")
	f(file(""), "read the header")
	f("users {\n  alias \"ana\" {}\n}", "joins nothing")
	f("users {\n  alias \"ana\" {\n    ids = [\"1\"]\n  }\n  alias \"bob\" {\n    ids = [\"1\"]\n  }\n}", `config.hcl:6`)
}
