package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// accountText reads the tools of shadow-utils. user.target is the account that was changed; who did it these tools seldom say.
// Each change is one event: what is logged again for the shadow files is code "<tool>.companion" without being counted.
func accountText(ev *event.Event, program, s string) bool {
	switch program {
	case "gpasswd", "groupmems":
		return gpasswdText(ev, s) || accountCommon(ev, s)
	case "passwd", "chpasswd", "chgpasswd", "chage", "chfn", "chsh":
		return passwdText(ev, s) || accountCommon(ev, s)
	}
	return accountCommon(ev, s)
}

func accountCommon(ev *event.Event, s string) bool {
	switch {
	case strings.HasPrefix(s, "new user: "):
		return newUser(ev, s[len("new user: "):])
	case strings.HasPrefix(s, "new group: "):
		g := ev.NeedGroup()
		g.Name, g.ID = commaField(s, "name="), commaField(s, "GID=")
		return say(ev, "account.new_group", event.GroupCreate, event.Success)
	case strings.HasPrefix(s, "failed adding user "):
		ev.NeedUserTarget().Name, ev.Reason, _ = strings.Cut(s[len("failed adding user "):], ", ")
		ev.UserTarget.Name = unquote(ev.UserTarget.Name)
		return say(ev, "account.new_user_failed", event.UserCreate, event.Failure)
	case strings.HasPrefix(s, "failed adding group "):
		ev.NeedGroup().Name, ev.Reason, _ = strings.Cut(s[len("failed adding group "):], ", ")
		ev.Group.Name = unquote(ev.Group.Name)
		return say(ev, "account.new_group_failed", event.GroupCreate, event.Failure)
	case strings.HasPrefix(s, "add "):
		return member(ev, s[len("add "):], " to ", event.GroupMemberAdd, "account.member_added")
	case strings.HasPrefix(s, "change user "):
		return changeUser(ev, s[len("change user "):])
	case strings.HasPrefix(s, "change '"), strings.HasPrefix(s, "change `"):
		return renameMember(ev, s[len("change "):])
	case strings.HasPrefix(s, "lock user "):
		name, _ := cutQuoted(s[len("lock user "):])
		ev.NeedUserTarget().Name = name
		return say(ev, "account.locked", event.AccountLock, event.Success)
	case strings.HasPrefix(s, "unlock user "):
		name, _ := cutQuoted(s[len("unlock user "):])
		ev.NeedUserTarget().Name = name
		return say(ev, "account.unlocked", event.AccountUnlock, event.Success)
	case strings.HasPrefix(s, "delete user "):
		name, _ := cutQuoted(s[len("delete user "):])
		ev.NeedUserTarget().Name = name
		return say(ev, "account.deleted", event.UserDelete, event.Success)
	case strings.HasPrefix(s, "delete "):
		return member(ev, s[len("delete "):], " from ", event.GroupMemberRemove, "account.member_removed")
	case strings.HasPrefix(s, "removed "), strings.HasPrefix(s, "remove "):
		return removedGroup(ev, s)
	case strings.HasPrefix(s, "group "):
		return groupFile(ev, s[len("group "):])
	}
	return accountNotice(ev, s)
}

// accountNotice knows the other texts by how they begin.
func accountNotice(ev *event.Event, s string) bool {
	for _, p := range [...]string{"failed to ", "cannot ", "failed ", "user ", "shadow group ", "gkr-pam", "PAM", "pam_", "exit", "move ",
		"not ", "uid ", "UID ", "missing ", "can't ", "copy", "rewrite", "open", "home ", "created ", "adding ", "updat"} {
		if strings.HasPrefix(s, p) {
			return note(ev, "account.message")
		}
	}
	return false
}

// newUser reads "name=bob, UID=1001, GID=1001, home=/home/bob, shell=/bin/bash, from=/dev/pts/0".
func newUser(ev *event.Event, s string) bool {
	t := ev.NeedUserTarget()
	t.Name, t.ID = commaField(s, "name="), commaField(s, "UID=")
	if gid := commaField(s, "GID="); gid != "" {
		ev.NeedGroup().ID = gid
	}
	ev.Label("home", commaField(s, "home="))
	ev.Label("shell", commaField(s, "shell="))
	if from := commaField(s, "from="); from != "none" {
		ev.Label("tty", from)
	}
	return say(ev, "account.new_user", event.UserCreate, event.Success)
}

// commaField returns the value of "key=" up to the next comma.
func commaField(s, key string) string {
	i := strings.Index(s, key)
	if i < 0 {
		return ""
	}
	s = s[i+len(key):]
	if end := strings.IndexByte(s, ','); end >= 0 {
		s = s[:end]
	}
	return trimBlanks(s)
}

// cutQuoted cuts 'name' (or `name', or a word) off.
func cutQuoted(s string) (name, rest string) {
	if len(s) > 1 && (s[0] == '\'' || s[0] == '`' || s[0] == '"') {
		closing := byte('\'')
		if s[0] == '"' {
			closing = '"'
		}
		if end := strings.IndexByte(s[1:], closing); end >= 0 {
			return s[1 : end+1], s[end+2:]
		}
	}
	name, rest = word(s)
	if rest != "" {
		rest = s[len(name):]
	}
	return name, rest
}

// member reads "'bob' to group 'docker'", "'bob' from shadow group 'docker'".
func member(ev *event.Event, s, preposition string, action event.Action, code string) bool {
	user, rest := cutQuoted(s)
	rest, ok := strings.CutPrefix(rest, preposition)
	if !ok {
		return false
	}
	rest, shadow := strings.CutPrefix(rest, "shadow ")
	if shadow {
		code, action = "account.companion", event.ActionNone
	}
	if rest, ok = strings.CutPrefix(rest, "group "); !ok {
		return false
	}
	ev.NeedUserTarget().Name = user
	ev.NeedGroup().Name, _ = cutQuoted(rest)
	return say(ev, code, action, event.Success)
}

// changeUser reads "'bob' password", "'bob' shell from '/bin/sh' to '/bin/bash'", "name 'bob' to 'rob'".
func changeUser(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "name "); ok {
		from, rest := cutQuoted(rest)
		to, _ := cutQuoted(strings.TrimPrefix(rest, " to "))
		ev.NeedUserTarget().Name, ev.NeedUserChanges().Name = from, to
		return say(ev, "account.renamed", event.UserUpdate, event.Success)
	}
	name, rest := cutQuoted(s)
	t := ev.NeedUserTarget()
	t.Name = name
	rest = trimBlanks(rest)
	if rest == "password" {
		return say(ev, "account.password_changed", event.PasswordChange, event.Success)
	}
	what, values, ok := strings.Cut(rest, " from ")
	if !ok {
		what = rest
	}
	ev.Label("changed", what)
	if ok {
		from, tail := cutQuoted(values)
		to, _ := cutQuoted(strings.TrimPrefix(tail, " to "))
		ev.Label("old", from)
		ev.Label("new", to)
		if what == "UID" {
			t.ID, ev.NeedUserChanges().ID = from, to
		}
	}
	return say(ev, "account.changed", event.UserUpdate, event.Success)
}

// renameMember reads "'bob' to 'rob' in group 'docker'": the account's new name in its groups.
func renameMember(ev *event.Event, s string) bool {
	from, rest := cutQuoted(s)
	rest, ok := strings.CutPrefix(rest, " to ")
	if !ok {
		return false
	}
	to, rest := cutQuoted(rest)
	ev.NeedUserTarget().Name, ev.NeedUserChanges().Name = from, to
	if _, group, found := strings.Cut(rest, "group "); found {
		ev.NeedGroup().Name, _ = cutQuoted(group)
	}
	return note(ev, "account.companion")
}

// removedGroup reads "removed group 'bob' owned by 'bob'".
func removedGroup(ev *event.Event, s string) bool {
	_, rest := word(s)
	rest, shadow := strings.CutPrefix(rest, "shadow ")
	rest, ok := strings.CutPrefix(rest, "group ")
	if !ok {
		return false
	}
	ev.NeedGroup().Name, _ = cutQuoted(rest)
	if shadow {
		return note(ev, "account.companion")
	}
	return say(ev, "account.group_deleted", event.GroupDelete, event.Success)
}

// groupFile reads "added to /etc/group: name=x, GID=1" (a companion of "new group"), "'x' removed from /etc/group" and
// "'x' removed", "changed in /etc/group (group x/1001, new name: y)".
func groupFile(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "added to "); ok {
		ev.NeedGroup().Name = commaField(rest, "name=")
		return note(ev, "account.companion")
	}
	if rest, ok := strings.CutPrefix(s, "changed in "); ok {
		if old, found := between(rest, "(group ", ","); found {
			g := ev.NeedGroup()
			g.Name, g.ID, _ = strings.Cut(old, "/")
		}
		ev.Label("new", strings.TrimSuffix(commaField(rest, "new name: "), ")"))
		ev.Label("new_gid", strings.TrimSuffix(commaField(rest, "new gid: "), ")"))
		if strings.HasPrefix(rest, "/etc/gshadow") || strings.HasPrefix(rest, "/etc/passwd") {
			return note(ev, "account.companion")
		}
		return say(ev, "account.group_changed", event.GroupUpdate, event.Success)
	}
	name, rest := cutQuoted(s)
	if !strings.HasPrefix(rest, " removed") {
		return false
	}
	ev.NeedGroup().Name = name
	if rest != " removed" {
		return note(ev, "account.companion")
	}
	return say(ev, "account.group_deleted", event.GroupDelete, event.Success)
}

// gpasswdText reads "user bob added by root to group docker" and its kin.
func gpasswdText(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "user "); ok {
		for _, f := range [...]struct {
			by, group, code string
			action          event.Action
		}{
			{" added by ", " to group ", "account.member_added", event.GroupMemberAdd},
			{" removed by ", " from group ", "account.member_removed", event.GroupMemberRemove},
		} {
			user, tail, found := strings.Cut(rest, f.by)
			if !found {
				continue
			}
			actor, group, _ := strings.Cut(tail, f.group)
			ev.NeedUserTarget().Name, ev.User.Name, ev.NeedGroup().Name = unquote(user), actor, group
			return say(ev, f.code, f.action, event.Success)
		}
	}
	for _, p := range [...]string{"change the password of group ", "remove the password of group ", "members of group ",
		"administrators of group ", "restrict access to group "} {
		rest, ok := strings.CutPrefix(s, p)
		if !ok {
			continue
		}
		group, tail, _ := strings.Cut(rest, " ")
		ev.NeedGroup().Name = group
		by, found := strings.CutPrefix(tail, "by ")
		if !found {
			_, by, found = strings.Cut(tail, " by ")
		}
		if found {
			actor, list := word(by)
			ev.User.Name = actor
			ev.Label("new", strings.TrimPrefix(list, "to "))
		}
		return say(ev, "account.group_changed", event.GroupUpdate, event.Success)
	}
	return false
}

// passwdText reads passwd, chpasswd, chage, chfn and chsh where they do without PAM.
func passwdText(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "password for "); ok {
		name, tail := cutQuoted(rest)
		actor, _ := cutQuoted(strings.TrimPrefix(tail, " changed by "))
		ev.NeedUserTarget().Name, ev.User.Name = name, actor
		return say(ev, "account.password_changed", event.PasswordChange, event.Success)
	}
	for _, p := range [...]string{"password changed for ", "change password for ", "changed password for "} {
		if rest, ok := strings.CutPrefix(s, p); ok {
			ev.NeedUserTarget().Name, _ = cutQuoted(rest)
			return say(ev, "account.password_changed", event.PasswordChange, event.Success)
		}
	}
	if rest, ok := strings.CutPrefix(s, "changed password expiry for "); ok {
		ev.NeedUserTarget().Name, _ = cutQuoted(rest)
		ev.Label("changed", "password expiry")
		return say(ev, "account.changed", event.UserUpdate, event.Success)
	}
	if rest, ok := strings.CutPrefix(s, "changed user "); ok {
		name, tail := cutQuoted(rest)
		ev.NeedUserTarget().Name = name
		what, to, _ := strings.Cut(trimBlanks(tail), " to ")
		ev.Label("changed", what)
		ev.Label("new", unquote(to))
		return say(ev, "account.changed", event.UserUpdate, event.Success)
	}
	return false
}
