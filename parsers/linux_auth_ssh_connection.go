package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// sshdConnection reads how connections come and go. An end before the login (preauth, or with the user "invalid" or
// "authenticating") is a detail of an attempt that failed; a probe that speaks no SSH is a refused connection.
func sshdConnection(ev *event.Event, s string, preauth bool) bool {
	switch s[0] {
	case 'C':
		return sshdClosed(ev, s, preauth)
	case 'D':
		return sshdDisconnected(ev, s, preauth)
	case 'R':
		if rest, ok := strings.CutPrefix(s, "Received disconnect from "); ok {
			return sshdReceived(ev, rest, preauth)
		}
		if rest, ok := strings.CutPrefix(s, "Read error from remote host "); ok {
			return sshdReadError(ev, rest)
		}
	case 'B', 'b':
		return sshdBad(ev, s)
	case 'U':
		if rest, ok := strings.CutPrefix(s, "Unable to negotiate with "); ok {
			return probe(ev, "sshd.negotiation_failed", strings.TrimPrefix(fromAddress(ev, rest), ": "))
		}
		if strings.HasPrefix(s, "Unable to negotiate") {
			return refuse(ev, "sshd.negotiation_failed", event.ConnectionClose, s)
		}
	case 'r', 'N', 'A':
		return sshdNames(ev, s)
	case 'T':
		return sshdTimeout(ev, s)
	case 'd':
		if rest, ok := strings.CutPrefix(s, "drop connection "); ok {
			return sshdDropped(ev, rest)
		}
	case 's':
		if rest, ok := strings.CutPrefix(s, "ssh_dispatch_run_fatal: Connection "); ok {
			return sshdDispatch(ev, rest)
		}
		if rest, ok := strings.CutPrefix(s, "scanned from "); ok {
			return probe(ev, "sshd.probe", strings.TrimPrefix(fromAddress(ev, rest), " "))
		}
		if rest, ok := strings.CutPrefix(s, "srclimit_penalise: "); ok {
			a, _, _ := strings.Cut(rest, "/")
			address(ev, a[strings.LastIndexByte(a, ' ')+1:])
			return refuse(ev, "sshd.penalty", event.ConnectionClose, rest)
		}
	case 'p', 'P':
		return sshdProtocol(ev, s)
	case 'k':
		if strings.HasPrefix(s, "kex_") {
			_, reason, _ := strings.Cut(s, ": ")
			return refuse(ev, "sshd.kex_failed", event.ConnectionClose, reason)
		}
	case 'W':
		if strings.HasPrefix(s, "Write failed: ") {
			if preauth {
				return refuse(ev, "sshd.write_failed", event.LoginDetail, s[len("Write failed: "):])
			}
			return refuse(ev, "sshd.write_failed", event.ConnectionClose, s[len("Write failed: "):])
		}
	}
	return false
}

// probe is a client that was turned away before it could name a user.
func probe(ev *event.Event, code, reason string) bool {
	return refuse(ev, code, event.ConnectionClose, reason)
}

// ended is the end of a connection: a failed attempt before the login, else simply the end.
func ended(ev *event.Event, code string, preauth bool, reason string) bool {
	if preauth {
		return refuse(ev, code, event.LoginDetail, reason)
	}
	return say(ev, code, event.ConnectionClose, event.Success)
}

// who reads "[invalid user |authenticating user |user ]NAME ADDRESS port N" or "ADDRESS[ port N]"; before says that the user had
// not logged in, rest is what follows.
func who(ev *event.Event, s string) (before bool, rest string) {
	var name string
	switch {
	case strings.HasPrefix(s, "invalid user "), strings.HasPrefix(s, "illegal user "):
		before, name = true, s[len("invalid user "):]
		ev.Reason = reasonInvalidUser
	case strings.HasPrefix(s, "authenticating user "):
		before, name = true, s[len("authenticating user "):]
	case strings.HasPrefix(s, "user "):
		name = s[len("user "):]
	default:
		return false, fromAddress(ev, s)
	}
	user, rest, ok := lastAddress(ev, name)
	if !ok { // old servers: no port
		i := strings.LastIndexByte(name, ' ')
		if i < 0 {
			ev.User.Name = name
			return before, ""
		}
		user = name[:i]
		address(ev, name[i+1:])
	}
	ev.User.Name = user
	return before, rest
}

func sshdClosed(ev *event.Event, s string, preauth bool) bool {
	code := "sshd.connection_closed"
	rest, ok := strings.CutPrefix(s, "Connection closed by ")
	if !ok {
		if rest, ok = strings.CutPrefix(s, "Connection reset by "); ok {
			code = "sshd.connection_reset"
		}
	}
	if ok {
		before, tail := who(ev, rest)
		before = before || preauth || strings.HasPrefix(tail, " [preauth]")
		reason := ev.Reason
		if reason == "" {
			reason = reasonPreauth
		}
		return ended(ev, code, before, reason)
	}
	if rest, ok := strings.CutPrefix(s, "Connection from "); ok {
		if strings.Contains(rest, "refused by tcp wrapper") || strings.Contains(rest, "not allowed") {
			fromAddress(ev, rest)
			return probe(ev, "sshd.refused", "refused by tcp wrapper")
		}
		fromAddress(ev, rest)
		return say(ev, "sshd.connection", event.ConnectionOpen, event.Success)
	}
	if rest, ok := strings.CutPrefix(s, "Closing connection to "); ok {
		fromAddress(ev, rest)
		return ended(ev, "sshd.connection_closed", preauth, reasonPreauth)
	}
	if rest, ok := strings.CutPrefix(s, "Close session: "); ok {
		sshdSessionWho(ev, rest)
		return say(ev, "sshd.close_session", event.LoginDetail, event.Success)
	}
	if strings.HasPrefix(s, "Corrupted ") || strings.HasPrefix(s, "Connection timed out") {
		return refuse(ev, "sshd.connection_broken", event.ConnectionClose, s)
	}
	return false
}

func sshdDisconnected(ev *event.Event, s string, preauth bool) bool {
	if rest, ok := strings.CutPrefix(s, "Disconnected from "); ok {
		before, tail := who(ev, rest)
		reason := ev.Reason
		if reason == "" {
			reason = reasonPreauth
		}
		return ended(ev, "sshd.disconnected", before || preauth || strings.HasPrefix(tail, " [preauth]"), reason)
	}
	if rest, ok := strings.CutPrefix(s, "Disconnecting"); ok {
		return sshdDisconnecting(ev, rest, preauth)
	}
	if rest, ok := strings.CutPrefix(s, "Did not receive identification string from "); ok {
		fromAddress(ev, rest)
		return probe(ev, "sshd.no_identification", "no identification string")
	}
	return false
}

// sshdDisconnecting reads "[ WHO ADDRESS port N]: REASON": the server ends it.
func sshdDisconnecting(ev *event.Event, s string, preauth bool) bool {
	before := preauth
	reason, ok := strings.CutPrefix(s, ": ")
	if !ok {
		if len(s) < 2 || s[0] != ' ' {
			return false
		}
		if user, change, found := changeOfUser(s[1:]); found {
			who(ev, user)
			return refuse(ev, "sshd.disconnecting", event.LoginDetail, change)
		}
		b, rest := who(ev, s[1:])
		before, reason = before || b, strings.TrimPrefix(rest, ": ")
		ev.Reason = ""
	}
	if user, found := strings.CutPrefix(reason, "Too many authentication failures"); found {
		if user, found = strings.CutPrefix(user, " for "); found {
			ev.User.Name, _ = cutInvalid(user)
		}
		return refuse(ev, "sshd.disconnecting", event.LoginDetail, reasonTooMany)
	}
	if before {
		return refuse(ev, "sshd.disconnecting", event.LoginDetail, reason)
	}
	return refuse(ev, "sshd.disconnecting", event.ConnectionClose, reason)
}

// changeOfUser reads "WHO ADDRESS port N: Change of username or service not allowed: (NAME,ssh-connection) -> (NEW,ssh-connection)".
// Both names are the client's; the place where it is cut is the one that makes NAME the name in WHO.
func changeOfUser(s string) (user, change string, found bool) {
	const sep = ": Change of username or service not allowed: ("
	for from, tries := 0, 0; tries < 4; tries++ {
		i := strings.Index(s[from:], sep)
		if i < 0 {
			break
		}
		i += from
		from = i + len(sep)
		name, _, _ := cutLast(s[:i], " port ")
		name = name[:max(strings.LastIndexByte(name, ' '), 0)]
		old, _, _ := strings.Cut(s[from:], ",ssh-connection)")
		if !found || strings.HasSuffix(name, " user "+old) {
			user, change, found = s[:i], s[i+2:], true
		}
		if strings.HasSuffix(name, " user "+old) {
			break
		}
	}
	return user, change, found
}

// sshdReceived reads "ADDRESS[ port N]:[ ]CODE: REASON": the client ended it.
func sshdReceived(ev *event.Event, s string, preauth bool) bool {
	rest := fromAddress(ev, s)
	rest = strings.TrimPrefix(strings.TrimPrefix(rest, ":"), " ")
	code, reason, ok := strings.Cut(rest, ":")
	if !ok {
		code, reason = "", rest
	}
	ev.Label("disconnect_code", code)
	reason = trimBlanks(reason)
	if preauth || strings.Contains(reason, " [preauth]") {
		return refuse(ev, "sshd.received_disconnect", event.LoginDetail, reason)
	}
	ev.Reason = reason
	return say(ev, "sshd.received_disconnect", event.ConnectionClose, event.Success)
}

func sshdReadError(ev *event.Event, s string) bool {
	before, rest := who(ev, s)
	rest = strings.TrimPrefix(rest, ": ")
	if before {
		return refuse(ev, "sshd.read_error", event.LoginDetail, rest)
	}
	return refuse(ev, "sshd.read_error", event.ConnectionClose, rest)
}

func sshdBad(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "Bad protocol version identification "); ok {
		// The identification is the client's; the address follows its closing quote.
		text, tail, found := cutLast(rest, " from ")
		if !found {
			return false
		}
		ev.Label("identification", unquote(text))
		fromAddress(ev, tail)
		return probe(ev, "sshd.bad_protocol", "bad protocol version")
	}
	if rest, ok := strings.CutPrefix(s, "banner exchange: Connection from "); ok {
		return probe(ev, "sshd.banner_exchange", strings.TrimPrefix(fromAddress(ev, rest), ": "))
	}
	if strings.HasPrefix(s, "Bad packet length") || strings.HasPrefix(s, "Bad remote protocol version") ||
		strings.HasPrefix(s, "bad client public DH value") {
		return refuse(ev, "sshd.bad_packet", event.ConnectionClose, s)
	}
	return false
}

// sshdNames reads what the server says about the name of the client's address.
func sshdNames(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "reverse mapping checking getaddrinfo for "); ok {
		name, rest := word(rest)
		address(ev, name)
		ip, _ := word(rest)
		address(ev, ip)
		return oddName(ev, "address does not map back to its name")
	}
	if rest, ok := strings.CutPrefix(s, "Address "); ok {
		ip, rest := word(rest)
		name, found := strings.CutPrefix(rest, "maps to ")
		if !found {
			return false
		}
		address(ev, ip)
		name, _, _ = strings.Cut(name, ", but ")
		if isHostName(name) {
			ev.Source.Domain = name
		}
		return oddName(ev, "address does not map back to its name")
	}
	if rest, ok := strings.CutPrefix(s, "Nasty PTR record "); ok {
		if ip, found := between(rest, " is set up for ", ","); found {
			address(ev, ip)
		}
		return oddName(ev, "name of the address is an address")
	}
	if rest, ok := strings.CutPrefix(s, "refused connect from "); ok {
		return refusedConnect(ev, "sshd.refused", rest)
	}
	if strings.HasPrefix(s, "no matching ") {
		return refuse(ev, "sshd.negotiation_failed", event.ConnectionClose, s)
	}
	return false
}

// oddName is a warning about the client's address, whatever becomes of the attempt.
func oddName(ev *event.Event, reason string) bool {
	ev.Reason = reason
	return say(ev, "sshd.reverse_mapping", event.LoginDetail, event.Unknown)
}

// refusedConnect reads "HOST (ADDRESS)" or "ADDRESS", as TCP wrappers write it.
func refusedConnect(ev *event.Event, code, s string) bool {
	name, rest := word(s)
	address(ev, name)
	if ip, ok := between(rest, "(", ")"); ok {
		address(ev, ip)
	}
	return refuse(ev, code, event.ConnectionOpen, "refused by tcp wrapper")
}

func sshdTimeout(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "Timeout before authentication for "); ok {
		rest = strings.TrimPrefix(strings.TrimPrefix(rest, "connection "), "from ")
		fromAddress(ev, rest)
		return refuse(ev, "sshd.timeout", event.LoginDetail, "timeout before authentication")
	}
	if rest, ok := strings.CutPrefix(s, "Timeout, client not responding"); ok {
		if rest, ok = strings.CutPrefix(rest, " from "); ok {
			who(ev, rest)
		}
		ev.Reason = "client not responding"
		return say(ev, "sshd.client_timeout", event.ConnectionClose, event.Failure)
	}
	if strings.HasPrefix(s, "Transferred: ") {
		return note(ev, "sshd.transferred")
	}
	return false
}

// sshdDropped reads "#N from [ADDRESS]:PORT on [ADDRESS]:PORT REASON" (MaxStartups, penalties).
func sshdDropped(ev *event.Event, s string) bool {
	_, rest, ok := strings.Cut(s, "from [")
	if !ok {
		return false
	}
	a, rest, ok := strings.Cut(rest, "]:")
	if !ok {
		return false
	}
	address(ev, a)
	rest = port(ev, rest)
	_, reason := word(strings.TrimPrefix(strings.TrimPrefix(rest, " on "), " "))
	return refuse(ev, "sshd.dropped", event.ConnectionOpen, reason)
}

// sshdDispatch reads "from|to [invalid user|authenticating user NAME ]ADDRESS port N: REASON".
func sshdDispatch(ev *event.Event, s string) bool {
	_, s = word(s)
	before, rest := who(ev, s)
	rest = strings.TrimPrefix(rest, ": ")
	if before {
		return refuse(ev, "sshd.protocol_error", event.LoginDetail, rest)
	}
	return refuse(ev, "sshd.protocol_error", event.ConnectionClose, rest)
}

func sshdProtocol(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "probed from "); ok {
		return probe(ev, "sshd.probe", strings.TrimPrefix(fromAddress(ev, rest), " "))
	}
	if rest, ok := strings.CutPrefix(s, "Protocol major versions differ"); ok {
		if rest, ok = strings.CutPrefix(rest, " for "); ok {
			fromAddress(ev, rest)
		}
		return probe(ev, "sshd.bad_protocol", "bad protocol version")
	}
	return false
}

// sshdSession reads what happens within a session. None of it begins or ends one: PAM's lines do.
func sshdSession(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "Starting session: "); ok {
		what, tail, found := cutLast(rest, " for ")
		if !found {
			return false
		}
		kind, detail := word(what)
		ev.Label("session_type", kind)
		if command, forced := strings.CutPrefix(detail, "(config) "); forced {
			detail = command
		}
		if tty, on := strings.CutPrefix(detail, "on "); on {
			ev.Label("tty", tty)
		} else if kind == "forced-command" {
			ev.Process.CommandLine = unquote(detail)
		} else if kind == "subsystem" {
			ev.Label("subsystem", unquote(detail))
		}
		sshdSessionWho(ev, tail)
		return say(ev, "sshd.starting_session", event.LoginDetail, event.Success)
	}
	if rest, ok := strings.CutPrefix(s, "subsystem request for "); ok {
		name, rest := word(rest)
		ev.Label("subsystem", name)
		if user, found := strings.CutPrefix(rest, "by user "); found {
			ev.User.Name = user
		}
		return say(ev, "sshd.subsystem", event.LoginDetail, event.Success)
	}
	if strings.HasPrefix(s, "User child is on pid ") {
		return note(ev, "sshd.user_child")
	}
	return false
}

// sshdSessionWho reads "[user ]NAME from ADDRESS port N id M".
func sshdSessionWho(ev *event.Event, s string) {
	user, tail, found := cutLast(s, " from ")
	if !found {
		return
	}
	ev.User.Name = strings.TrimPrefix(user, "user ")
	rest := fromAddress(ev, tail)
	if id, ok := strings.CutPrefix(rest, " id "); ok {
		id, _ = word(id)
		ev.Label("channel", id)
	}
}

// sftpText reads "session opened for local user alice from [ADDRESS]" and its end; all else is about files.
func sftpText(ev *event.Event, s string) bool {
	rest, opened := strings.CutPrefix(s, "session opened for local user ")
	closed := false
	if !opened {
		rest, closed = strings.CutPrefix(s, "session closed for local user ")
	}
	if !opened && !closed {
		return note(ev, "sftp.message")
	}
	user, tail, ok := cutLast(rest, " from ")
	if !ok {
		return false
	}
	ev.User.Name = user
	address(ev, tail)
	if opened {
		return say(ev, "sftp.opened", event.LoginDetail, event.Success)
	}
	return say(ev, "sftp.closed", event.LoginDetail, event.Success)
}

// sshdServer reads what the server says about itself.
func sshdServer(ev *event.Event, s string) bool {
	switch {
	case strings.HasPrefix(s, "Server listening on "):
		return say(ev, "sshd.listening", event.ServiceStart, event.Success)
	case strings.HasPrefix(s, "Received signal "), strings.HasPrefix(s, "Exiting on signal "), strings.HasPrefix(s, "exited on signal "),
		strings.HasPrefix(s, "Received SIGTERM"):
		return sshdSignal(ev, s)
	}
	return false
}

func sshdSignal(ev *event.Event, s string) bool {
	if strings.HasPrefix(s, "Received SIGHUP") {
		return note(ev, "sshd.reload")
	}
	ev.Reason = s
	return say(ev, "sshd.signal", event.ServiceStop, event.Success)
}

// sshdNotices are the beginnings of texts that are known and say nothing about an attempt.
var sshdNotices = [...]string{
	"Received SIGHUP", "Found matching ", "Could not ", "Cannot ", "Can't ", "Couldn't ", "Unable to ", "Unsupported ", "WARNING: ",
	"Warning: ", "Deprecated ", "rexec ", "Set ", "Missing privilege separation", "No supported authentication", "userauth_",
	"exited MaxStartups", "beginning MaxStartups", "Server configuration", "Reloading", "Restarting", "Exiting", "mm_", "channel ",
	"Local: ", "Remote: ", "X11 ", "last ", "lastlog_", "login_", "session_", "PAM ", "Bind to port ", "socket: ", "key ",
	"Privilege separation", "privsep", "no hostkeys available", "sshd: no hostkeys available", "Attempt to write login records",
	"Allowing ", "Forced ", "Changed root directory", "packet_write", "buffer_", "dispatch_protocol", "Access denied",
	"matched ", "request ", "Found ", "Socket error", "setsockopt", "ssh_", "kex: ", "Executing ", "expired ", "Environment",
	"Postponed ", "Refused ", "Rejected ", "rexec_", "monitor_", "chroot ", "Authorized to ", "Authorized principal",
	"Corrected ", "Certificate ", "certificate ", "AuthorizedKeys", "AuthorizedPrincipals", "hostkeys_", "get_socket_address",
	"sendmsg", "recvmsg", "Network error", "Starting ", "Stopping ", "Shutting down", "succeeded", "startup", "shutdown",
	"fork of ", "Received request ", "refused ", "Client ", "Terminating", "auth_", "shadow ", "nss_", "rsa_", "Keyboard", "Disallowed", "banner ", "debug",
}

func sshdNotice(ev *event.Event, s string) bool {
	for _, p := range sshdNotices {
		if strings.HasPrefix(s, p) {
			return note(ev, "sshd.notice")
		}
	}
	return strings.HasPrefix(s, "sshd ") && note(ev, "sshd.notice") // "sshd -HUP succeeded" of init scripts
}
