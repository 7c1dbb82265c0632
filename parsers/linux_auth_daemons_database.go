package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// mysqldText reads the error log of MySQL and MariaDB without its time: "[THREAD ][LEVEL] [CODE] [SUBSYSTEM] TEXT". MySQL logs refused logins where
// log_error_verbosity is 3 (MariaDB: log_warnings 2), and never one that succeeded.
func mysqldText(ev *event.Event, s string) bool {
	ev.Service.Name, ev.Session.Protocol = "mysqld", "mysql"
	if _, i := digits(s, 0, 18); i > 0 && i < len(s) && s[i] == ' ' {
		ev.Label("thread", s[:i])
		s = trimBlanks(s[i:])
	}
	for n := 0; n < 3 && strings.HasPrefix(s, "["); n++ {
		group, rest, ok := strings.Cut(s, "] ")
		if !ok {
			break
		}
		if n == 0 {
			ev.Log.Level = group[1:]
		} else if strings.HasPrefix(group, "[MY-") {
			ev.NeedError().Code = group[1:]
		}
		s = rest
	}
	return mysqldDenied(ev, s) || mysqldAborted(ev, s) || note(ev, "mysqld.message")
}

// mysqldDenied reads "Access denied for user 'U'@'HOST' (using password: YES)"; older MariaDB leaves the end out, and a refused database follows as
// "to database 'D'". Nothing else may follow: a text that goes on is not the server's.
func mysqldDenied(ev *event.Event, s string) bool {
	who, ok := strings.CutPrefix(s, "Access denied for user '")
	if !ok {
		return false
	}
	who, withPassword := strings.CutSuffix(who, " (using password: YES)")
	without := false
	if !withPassword {
		who, without = strings.CutSuffix(who, " (using password: NO)")
	}
	if who, ok = strings.CutSuffix(who, "'"); !ok {
		return false
	}
	database := ""
	if !withPassword && !without {
		if i := strings.LastIndex(who, "' to database '"); i >= 0 {
			if strings.Contains(who[i:], "'@'") || strings.Count(who, "'@'") > 1 {
				ev.Tag("ambiguous-source") // a name or a database that holds such a text
			} else {
				who, database = who[:i], who[i+len("' to database '"):]
			}
		}
	}
	i := strings.LastIndex(who, "'@'")
	if i < 0 {
		return false
	}
	ev.User.Name = who[:i]
	address(ev, who[i+3:])
	if database != "" {
		ev.Label("database", database)
		return refuse(ev, "mysqld.access_denied", event.Login, "database refused")
	}
	switch {
	case withPassword:
		return refuse(ev, "mysqld.access_denied", event.Login, reasonBadPassword)
	case without:
		return refuse(ev, "mysqld.access_denied", event.Login, "no password given")
	}
	return refuse(ev, "mysqld.access_denied", event.Login, "authentication failure")
}

// mysqldAborted reads "Aborted connection N to db: 'D' user: 'U' host: 'H' (REASON)".
func mysqldAborted(ev *event.Event, s string) bool {
	if !strings.HasPrefix(s, "Aborted connection ") {
		return false
	}
	i := strings.LastIndex(s, "' host: '")
	if i < 0 {
		return false
	}
	host, reason, _ := strings.Cut(s[i+len("' host: '"):], "'")
	address(ev, host)
	ev.Reason = strings.TrimRight(strings.TrimPrefix(trimBlanks(reason), "("), ".)")
	if _, user, ok := strings.Cut(s[:i], " user: '"); ok && user != "unauthenticated" {
		ev.User.Name = user
		return say(ev, "mysqld.aborted", event.ConnectionClose, event.Unknown)
	}
	return say(ev, "mysqld.aborted", event.ConnectionClose, event.Failure)
}

// mongodText reads mongod's log of before 4.4, without its time: "[LEVEL COMPONENT ][CONTEXT] TEXT". Before 3.0 a refused login does not name the
// client: the line of the connection's end does, under the same [connN].
func mongodText(ev *event.Event, s string) bool {
	ev.Service.Name, ev.Session.Protocol = "mongod", "mongodb"
	open := strings.IndexByte(s, '[')
	end := strings.Index(s, "] ")
	if open < 0 || open > 24 || end < open {
		return note(ev, "mongod.message")
	}
	ev.Label("connection", s[open+1:end])
	return mongodLogin(ev, trimBlanks(s[end+2:])) || note(ev, "mongod.message")
}

func mongodLogin(ev *event.Event, s string) bool {
	switch {
	case strings.HasPrefix(s, "Failed to authenticate "):
		who, rest, ok := strings.Cut(s[len("Failed to authenticate "):], " with mechanism ")
		if !ok {
			return false
		}
		mongodUser(ev, who, "@")
		method, reason, _ := strings.Cut(rest, ": ")
		ev.Label("auth_method", method)
		return refuse(ev, "mongod.failed", event.Login, mongodReason(reason))
	case strings.HasPrefix(s, "SASL "):
		return mongodSASL(ev, s[len("SASL "):])
	case strings.HasPrefix(s, "Successfully authenticated as principal "):
		who, a, found := cutLast(s[len("Successfully authenticated as principal "):], " from client ")
		if found {
			colonAddress(ev, a)
		}
		mongodUser(ev, who, " on ")
		return say(ev, "mongod.succeeded", event.Login, event.Success)
	case strings.HasPrefix(s, "connection accepted from "):
		a, _ := word(s[len("connection accepted from "):])
		colonAddress(ev, a)
		return say(ev, "mongod.connection", event.ConnectionOpen, event.Success)
	case strings.HasPrefix(s, "end connection "):
		a, _ := word(s[len("end connection "):])
		colonAddress(ev, a)
		return say(ev, "mongod.closed", event.ConnectionClose, event.Success)
	}
	return false
}

// mongodSASL reads "METHOD authentication failed for U on D from client A:P ; REASON"; the reason may repeat the name.
func mongodSASL(ev *event.Event, s string) bool {
	method, rest := word(s)
	rest, ok := strings.CutPrefix(rest, "authentication failed for ")
	if !ok {
		return false
	}
	i := strings.LastIndex(rest, " from client ")
	if i < 0 {
		return false
	}
	if strings.Contains(rest[:i], " from client ") {
		ev.Tag("ambiguous-source") // the name holds such a text
	}
	a, reason, _ := strings.Cut(rest[i+len(" from client "):], " ; ")
	colonAddress(ev, a)
	mongodUser(ev, rest[:i], " on ")
	ev.Label("auth_method", method)
	return refuse(ev, "mongod.failed", event.Login, mongodReason(reason))
}

func mongodUser(ev *event.Event, who, sep string) {
	if i := strings.LastIndex(who, sep); i >= 0 {
		ev.Label("database", who[i+len(sep):])
		who = who[:i]
	}
	ev.User.Name = who
}

func mongodReason(s string) string {
	if strings.Contains(s, "UserNotFound") {
		return reasonInvalidUser
	}
	if strings.Contains(s, "Mismatch") || strings.Contains(s, "mismatch") {
		return reasonBadPassword
	}
	return "authentication failure"
}
