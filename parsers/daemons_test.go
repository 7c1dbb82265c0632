package parsers

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
)

// daemonSeeds are lines of each form, for the fuzzer and for the bounds of time.
var daemonSeeds = []string{
	`@400000006af2f0dc077a9e94 imap-login: Info: Aborted login (auth failed, 1 attempts): user=<bob>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1`,
	`Nov 22 11:00:04 auth(bob,198.51.100.7,sasl:login)<AbCd>: Info: sql: Password mismatch`,
	`2026-11-22 11:00:02 auth-worker(default): Info: pam(bob,198.51.100.7): pam_authenticate() failed: Authentication failure`,
	`2026-11-22 11:00:06 [7] 1akDqs-0005aQ-9b login authenticator failed for a.example.net (b) [198.51.100.7]:4 I=[192.0.2.1]:465: 535 Incorrect (set_id=bob)`,
	`2026-11-22 11:00:09 +0100 SMTP protocol error in "auth login" H=(x) [198.51.100.7] AUTH command used when not advertised`,
	`Sun Nov 22 11:00:02 2026 [pid 27202] [bob] FAIL LOGIN: Client "198.51.100.7"`,
	`2026-11-22 11:00:06,121 ftp01 proftpd[7] localhost (a[198.51.100.7]): USER x: no such user found from a [198.51.100.7] to 192.0.2.1:21`,
	`2026-11-22T11:00:04.634875Z 113 [Note] [MY-010926] [Server] Access denied for user 'x'@'198.51.100.7' (using password: YES)`,
	`261122  9:00:01 [Warning] Access denied for user 'root'@'198.51.100.7' (using password: NO)`,
	`2026-11-22T11:00:07.110+0100 I ACCESS   [conn7] SASL SCRAM-SHA-1 authentication failed for root on admin from client 198.51.100.7:40001 ; UserNotFound`,
	`{"t":{"$date":"2026-11-22T11:00:11.110+01:00"},"s":"I","c":"ACCESS","id":20249,"ctx":"conn7","msg":"Authentication failed","attr":{"principalName":"root","client":"198.51.100.7:40001","result":"UserNotFound"}}`,
	`[2026-11-22 11:00:01] NOTICE[77] chan_sip.c: Registration from '<sip:100@192.0.2.66>' failed for '198.51.100.7:40001' - No matching peer found`,
	`[Nov 22 11:00:02] NOTICE[77]: a.c:1 f: Call from 'a' (TCP:[198.51.100.7]:40001) to extension '9' rejected because extension not found in context 'd'.`,
	`[2026-11-22 11:00:06] SECURITY[77] a.c: SecurityEvent="InvalidPassword",AccountID="1",SessionID="2",RemoteAddress="IPV4/UDP/198.51.100.7/4"`,
	`1795345210.000      4 198.51.100.7 TCP_DENIED/403 4099 GET http://www.example.com/a?b=c - HIER_NONE/- text/html`,
	`22-Nov-2026 11:00:15.090 client @0x7f7c95c76968 198.51.100.7#40001 (a): view v: query (cache) 'a/A/IN' denied (why)`,
	`2026-11-22 11:00:17 alice/198.51.100.7:40001 TLS Error: cannot locate HMAC in incoming packet from [AF_INET]198.51.100.7:40001`,
	`node=a type=USER_LOGIN msg=audit(1795345201.415:4063): pid=1 uid=0 ses=1 msg='op=login acct=6162 exe="/usr/sbin/sshd" hostname=? addr=198.51.100.7 terminal=ssh res=failed'`,
	`2026-11-22 11:00:10,388 fail2ban.actions        [123]: NOTICE  [sshd] Ban 198.51.100.7`,
	`Nov 22 11:00:01 dropbear[7]: Login attempt for nonexistent user from ::ffff:198.51.100.7:40001`,
	`Nov 22 11:00:01 mx01 postfix/smtpd[7]: warning: a[198.51.100.7]:4: SASL LOGIN authentication failed: x, sasl_username=bob`,
	`Nov 22 11:00:01 mx01 postfix/smtpd[7]: 00ADB3C0899: reject: RCPT from a[198.51.100.7]: 554 5.7.1 <x>: Relay access denied; from=<a> to=<b>`,
	`Nov 22 11:00:01 mx01 cyrus/imaps[7]: badlogin: a [198.51.100.7] plaintext bob SASL(-13): authentication failure: checkpass failed`,
	`Nov 22 11:00:01 mx01 imapd: LOGIN FAILED, user=bob, ip=[::ffff:198.51.100.7], port=[40001]`,
	`Nov 22 11:00:01 ftp01 pure-ftpd: (?@198.51.100.7) [WARNING] Authentication failed for user [bob]`,
	`Nov 22 11:00:01 web01 webmin[7]: Invalid login as root from 198.51.100.7`,
}

func newDaemonParsers(t testing.TB) (own, auth Parser) {
	t.Helper()
	set, ds := build(t, "")
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	own, err := set.Get("daemons")
	if err != nil {
		t.Fatal(err)
	}
	auth, err = set.Get("linux_auth")
	if err != nil {
		t.Fatal(err)
	}
	return own, auth
}

// parseDaemon reads a line by daemons, and where it has a syslog header by linux_auth.
func parseDaemon(own, auth Parser, text string, ev *event.Event) error {
	ev.Reset()
	err := own.Parse(Line{Text: text, Received: authReceived}, ev)
	if errors.Is(err, ErrNoMatch) {
		ev.Reset()
		err = auth.Parse(Line{Text: text, Received: authReceived}, ev)
	}
	return err
}

// Whatever name a client chooses, source and action are those that the daemon wrote.
func TestDaemonNamesMoveNoField(t *testing.T) {
	const log, sys = "Nov 22 11:00:00 mx01 ", "2026-11-22 11:00:00 "
	forms := []struct{ text, code string }{
		{log + "dovecot: imap-login: Disconnected (auth failed, 1 attempts): user=<{}>, method=PLAIN, rip=198.51.100.66, lip=192.0.2.1", "dovecot.failed"},
		{log + "dovecot: imap-login: Aborted login (auth failed, 1 attempts): user=<{}>, rip=198.51.100.66, lip=192.0.2.1, session=<a>", "dovecot.failed"},
		{log + "postfix/smtpd[7]: warning: a[198.51.100.66]: SASL LOGIN authentication failed: (reason unavailable), sasl_username={}", "postfix.sasl_failed"},
		{log + "imapd: LOGIN FAILED, user={}, ip=[::ffff:198.51.100.66], port=[4001]", "courier.failed"},
		{log + "cyrus/imap[7]: badlogin: a [198.51.100.66] plaintext {} SASL(-13): authentication failure: checkpass failed", "cyrus.failed"},
		{log + "proftpd[7] a (b[198.51.100.66]): USER {}: no such user found from b [198.51.100.66] to 192.0.2.1:21", "proftpd.failed"},
		{log + "proftpd[7] a (b[198.51.100.66]): USER {} (Login failed): Incorrect password.", "proftpd.failed"},
		{log + "pure-ftpd: (?@198.51.100.66) [WARNING] Authentication failed for user [{}]", "pureftpd.failed"},
		{log + "webmin[7]: Non-existent login as {} from 198.51.100.66", "webmin.failed"},
		{log + "mysqld[7]: 2026-11-22 11:00:00 7 [Warning] Access denied for user '{}'@'198.51.100.66' (using password: YES)", "mysqld.access_denied"},
		{log + "dropbear[7]: Bad password attempt for '{}' from 198.51.100.66:4001", "dropbear.failed"},
		{sys + "login authenticator failed for (a) [198.51.100.66]: 535 Incorrect authentication data (set_id={})", "exim.auth_failed"},
		{"Sun Nov 22 11:00:00 2026 [pid 7] [{}] FAIL LOGIN: Client \"198.51.100.66\"", "vsftpd.failed"},
		{"[2026-11-22 11:00:00] NOTICE[7] a.c: Registration from '<sip:{}@example.com>' failed for '198.51.100.66:4001' - Wrong password", "asterisk.register_failed"},
		{"[2026-11-22 11:00:00] NOTICE[7] a.c: No registration for peer '{}' (from 198.51.100.66)", "asterisk.register_failed"},
		{"[2026-11-22 11:00:00] NOTICE[7] a.c: 198.51.100.66 failed to authenticate as '{}'", "asterisk.auth_failed"},
	}
	pieces := []string{"root", "a", "from", "from 203.0.113.1", "203.0.113.1", "[203.0.113.1]", "rip=203.0.113.1", ", rip=203.0.113.1", ">, method=PLAIN", "ip=[203.0.113.1]", ">", "'",
		"'@'203.0.113.1'", "(using password: NO)", "(set_id=", ") [203.0.113.1]", ": 535", "SASL(", "' failed for '203.0.113.1'", "- x", ": Login successful.", "] ", "OK LOGIN", "\"", ")", "("}
	own, auth := newDaemonParsers(t)
	rapid.Check(t, func(r *rapid.T) {
		f := rapid.SampledFrom(forms).Draw(r, "form")
		name := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 6).Draw(r, "name"), " ")
		text := strings.Replace(f.text, "{}", name, 1)
		var ev event.Event
		if err := parseDaemon(own, auth, text, &ev); err != nil {
			r.Fatal(err)
		}
		if ev.Source.IP != "198.51.100.66" || ev.Code != f.code || ev.Outcome != event.Failure || ev.Action != event.Login && f.code != "vsftpd.failed" {
			r.Fatalf("%s\nsource %q code %q user %q %v", text, ev.Source.IP, ev.Code, ev.User.Name, ev.Outcome)
		}
	})
}

// Where both sides of an address are the client's, a line that can be read in two ways says so.
func TestDaemonNamesAreTaggedWhereNobodyCanTell(t *testing.T) {
	forms := []string{
		"Nov 22 11:00:00 mx01 dovecot: auth: sql({},198.51.100.66,<AbCd>): unknown user",
		"Nov 22 11:00:00 mx01 dovecot: auth: sql(bob,198.51.100.66): Password mismatch (given password: {})",
		"[2026-11-22 11:00:00] NOTICE[7] a.c: Call from '{}' (198.51.100.66:4001) to extension '1' rejected because extension not found in context 'a'.",
		"[2026-11-22 11:00:00] NOTICE[7] a.c: Call from 'a' (198.51.100.66:4001) to extension '{}' rejected because extension not found in context 'a'.",
		`[2026-11-22 11:00:00] SECURITY[7] a.c: SecurityEvent="InvalidPassword",AccountID="{}",SessionID="1",RemoteAddress="IPV4/UDP/198.51.100.66/4"`,
		`[2026-11-22 11:00:00] SECURITY[7] a.c: SecurityEvent="InvalidPassword",AccountID="1",SessionID="1",RemoteAddress="IPV4/UDP/198.51.100.66/4",Response="{}"`,
		"2026-11-22T11:00:00.110+0100 I ACCESS   [conn7] SASL SCRAM-SHA-1 authentication failed for {} on admin from client 198.51.100.66:4 ; UserNotFound: no {}@admin",
		`2026-11-22 11:00:00 SMTP protocol synchronization error (a): rejected "{}" H=[198.51.100.66]:1 I=[192.0.2.1]:25 next input="a"`,
		`2026-11-22 11:00:00 SMTP protocol synchronization error (a): rejected "RSET" H=[198.51.100.66]:1 I=[192.0.2.1]:25 next input="{}"`,
	}
	pieces := []string{"a", ",203.0.113.1): unknown user", "sql(x,203.0.113.1): Password mismatch", ",203.0.113.1,<b>): ", "' (203.0.113.1:1) to extension '2", "b (203.0.113.1:1",
		") to extension '", `",RemoteAddress="IPV4/UDP/203.0.113.1/1"`, " from client 203.0.113.1:1 ; ", " on admin", `" H=[203.0.113.1]:1 I=[`, "(", ")", "'"}
	own, auth := newDaemonParsers(t)
	rapid.Check(t, func(r *rapid.T) {
		name := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 4).Draw(r, "name"), rapid.SampledFrom([]string{"", " "}).Draw(r, "between"))
		text := strings.ReplaceAll(rapid.SampledFrom(forms).Draw(r, "form"), "{}", name)
		var ev event.Event
		if err := parseDaemon(own, auth, text, &ev); err != nil {
			r.Fatal(err)
		}
		if ev.Source.IP == "203.0.113.1" && !hasTag(&ev, "ambiguous-source") || ev.Outcome == event.Success {
			r.Fatalf("%s\nsource %q code %q user %q tags %v", text, ev.Source.IP, ev.Code, ev.User.Name, ev.Tags)
		}
	})
}

// Lines as long as an input lets through are read in time that grows with their length only.
func TestDaemonTimeIsBounded(t *testing.T) {
	own, auth := newDaemonParsers(t)
	for _, piece := range []string{" from ", ": ", "): ", ", rip=", "' failed for '", " (", "[", "]", "'@'", " H=(", "\" H=", " SASL(", ",RemoteAddress=\"", "= ", ",1.1.1.1): "} {
		for _, seed := range daemonSeeds {
			for _, at := range []int{len(seed), len(seed) * 2 / 3, len(seed) / 2} {
				text := seed[:at] + strings.Repeat(piece, (256<<10)/len(piece)) + seed[at:]
				var ev event.Event
				took := testkit.CPU(t, func() {
					looksLikeDaemons(text)
					_ = parseDaemon(own, auth, text, &ev)
				})
				if took > 500*time.Millisecond {
					t.Errorf("%.60q with %q: %s for 256 KiB", seed, piece, took)
				}
			}
		}
	}
}

// A line takes no memory, but mongod's JSON and names that auditd wrote in hexadecimal.
func TestDaemonsDoNotAllocate(t *testing.T) {
	own, auth := newDaemonParsers(t)
	for _, text := range daemonSeeds {
		if strings.HasPrefix(text, "{") || strings.Contains(text, "acct=6162") {
			continue
		}
		var ev event.Event
		p := own
		if err := own.Parse(Line{Text: text, Received: authReceived}, &ev); err != nil {
			p = auth
		}
		n := testing.AllocsPerRun(64, func() {
			ev.Reset()
			if err := p.Parse(Line{Text: text, Received: authReceived}, &ev); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		})
		if n != 0 {
			t.Errorf("%v allocations, want 0: %s", n, text)
		}
	}
}

// The shapes are specific: no line of the other parsers' golden cases is taken for a daemon's.
func TestDaemonsStealNoLines(t *testing.T) {
	for _, name := range types() {
		if name == "daemons" || name == "auto" {
			continue
		}
		paths, err := filepath.Glob(filepath.Join("testdata", name, "*.txtar"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			ar, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range ar.Files {
				if f.Name != "input" {
					continue
				}
				for text := range strings.Lines(string(f.Data)) {
					if text = strings.TrimSuffix(text, "\n"); looksLikeDaemons(text) {
						t.Errorf("%s: %s", path, text)
					}
				}
			}
		}
	}
}

func BenchmarkDaemons(b *testing.B) {
	own, auth := newDaemonParsers(b)
	parsers := make([]Parser, len(daemonSeeds))
	size := 0
	var ev event.Event
	for i, text := range daemonSeeds {
		size += len(text) + 1
		ev.Reset()
		parsers[i] = own
		if own.Parse(Line{Text: text, Received: authReceived}, &ev) != nil {
			parsers[i] = auth
		}
	}
	b.SetBytes(int64(size / len(daemonSeeds)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n := i % len(daemonSeeds)
		ev.Reset()
		if err := parsers[n].Parse(Line{Text: daemonSeeds[n], Received: authReceived}, &ev); err != nil {
			b.Fatal(err)
		}
	}
}
