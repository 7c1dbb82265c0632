package enrich

import (
	"fmt"
	"testing"

	"github.com/gatebook/gatebook/event"
)

func TestUserKey(t *testing.T) {
	k := NewUserKey()
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
	f("target that is no account action", func(e *event.Event) {
		e.Action, e.User.Name, e.NeedUserTarget().Name = event.CommandRun, "admin", "bob"
	}, "admin")
	f("account action without target", func(e *event.Event) { e.Action, e.User.Name = event.UserCreate, "admin"; e.NeedUserTarget() }, "admin")
	f("already there", func(e *event.Event) { e.UserKey, e.User.Name = "k", "bob" }, "k")
}

func TestUserKeyAllocatesNothing(t *testing.T) {
	k := NewUserKey()
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
	k := NewUserKey()
	e := event.Event{User: event.User{Name: "root"}, Realm: "web1"}
	b.ReportAllocs()
	for b.Loop() {
		e.UserKey = ""
		k.Enrich(&e)
	}
}
