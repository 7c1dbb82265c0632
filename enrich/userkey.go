package enrich

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// UserKey fills gatebook.user.key, which joins what one person does: the realm, a slash, and the user in lower case; the user
// alone where the realm is not known.
//
//	user   whom the alias table has for the name, the e-mail address or the id; else the first of these that is there; of user.target
//	       where the action is about accounts or ends somebody's session, or nobody else is named (a mail's recipient)
//	realm  what the parser or the input says, else the organization, else the user's domain; a canonical user of the alias table that
//	       has a slash in it brings its own
type UserKey struct {
	cache   *cache[string]
	aliases *Aliases
}

// NewUserKey returns the enricher; aliases may be nil.
func NewUserKey(aliases *Aliases) *UserKey { return &UserKey{newCache[string](8192), aliases} }

const longestKey = 256 // longer names are keys as well, but not remembered

// Enrich implements Enricher.
func (k *UserKey) Enrich(ev *event.Event) {
	if ev.UserKey != "" {
		return
	}
	who := &ev.User
	if t := ev.UserTarget; t != nil && canonical(t) != "" && (aboutTarget(ev) || canonical(who) == "") {
		who = t
	}
	user := canonical(who)
	if user == "" {
		return
	}
	realm := realmOf(ev, who)
	if k.aliases != nil {
		if known := k.aliases.find(realm, who.Name, who.Email, who.ID); known != "" {
			if user = known; strings.Contains(user, "/") {
				realm = ""
			}
		}
	}
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

// aboutTarget says that the event is about the one whom it was done to.
func aboutTarget(ev *event.Event) bool {
	category := ev.Category
	if category == "" {
		category = ev.Action.Info().Category
	}
	return category == "iam" || category == "session"
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
