package enrich

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// UserKey fills gatebook.user.key, which joins what one person does: the realm, a slash, and the user in lower case; the user
// alone where the realm is not known.
//
//	user   the name, else the e-mail address, else the id; of user.target where the action is about accounts
//	realm  what the parser or the input says, else the organization, else the user's domain
type UserKey struct{ cache *cache[string] }

// NewUserKey returns the enricher.
func NewUserKey() *UserKey { return &UserKey{newCache[string](8192)} }

const longestKey = 256 // longer names are keys as well, but not remembered

// Enrich implements Enricher.
func (k *UserKey) Enrich(ev *event.Event) {
	if ev.UserKey != "" {
		return
	}
	who := &ev.User
	if t := ev.UserTarget; t != nil && canonical(t) != "" && category(ev) == "iam" {
		who = t
	}
	user := canonical(who)
	if user == "" {
		return
	}
	realm := realmOf(ev, who)
	if realm == "" && isLower(user) {
		ev.UserKey = user
		return
	}
	if key, ok := k.cache.get(realm, user); ok {
		ev.UserKey = key
		return
	}
	key := strings.ToLower(user)
	if realm != "" {
		key = strings.ToLower(realm) + "/" + key
	}
	if len(key) <= longestKey {
		k.cache.put(realm, user, key)
	}
	ev.UserKey = key
}

func category(ev *event.Event) string {
	if ev.Category != "" {
		return ev.Category
	}
	return ev.Action.Info().Category
}

func canonical(u *event.User) string {
	switch {
	case u.Name != "":
		return u.Name
	case u.Email != "":
		return u.Email
	}
	return u.ID
}

func realmOf(ev *event.Event, who *event.User) string {
	if ev.Realm != "" {
		return ev.Realm
	}
	if o := ev.Organization; o != nil {
		if o.Name != "" {
			return o.Name
		}
		if o.ID != "" {
			return o.ID
		}
	}
	return who.Domain
}

// isLower tells that lower-casing s gives s; text beyond ASCII is left to strings.ToLower.
func isLower(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 'A' && c <= 'Z' || c >= 0x80 {
			return false
		}
	}
	return true
}
