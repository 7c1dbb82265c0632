package outputs

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
)

// mailServer is an SMTP server on loopback.
type mailServer struct {
	t    *testing.T
	addr string
	ca   string // path

	mu    sync.Mutex
	got   []mailed
	auths int
	tls   int // sessions that came in encrypted
	// The answers, asked in this order; nil takes.
	onMail func(n int) error
	onRcpt func(to string) error
	onData func(n int, m *mailed) error
	tries  int
}

type mailed struct {
	from    string
	to      []string
	raw     []byte
	subject string
	header  mail.Header
	text    string
	html    string
}

func newMailServer(t *testing.T, mode string) *mailServer {
	s := &mailServer{t: t}
	cert, ca := testCertificate(t)
	s.ca = ca
	srv := smtp.NewServer(s)
	srv.Domain, srv.ReadTimeout, srv.WriteTimeout = "localhost", 10*time.Second, 10*time.Second
	srv.ErrorLog = quietLogger{}
	srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = strings.Replace(l.Addr().String(), "127.0.0.1", "localhost", 1)
	switch mode {
	case "implicit":
		l = tls.NewListener(l, srv.TLSConfig)
	case "none":
		srv.TLSConfig = nil
	}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return s
}

type quietLogger struct{}

func (quietLogger) Printf(string, ...any) {}
func (quietLogger) Println(...any)        {}

// testCertificate is one for localhost, and the path of its authority.
func testCertificate(t *testing.T) (tls.Certificate, string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, path
}

func (s *mailServer) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &mailTestSession{s: s, conn: c}, nil
}

type mailTestSession struct {
	s    *mailServer
	conn *smtp.Conn
	mailed
}

func (m *mailTestSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (m *mailTestSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		m.s.mu.Lock()
		defer m.s.mu.Unlock()
		m.s.auths++
		if user != "gatebook" || password != "0123456789abcdef" {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (m *mailTestSession) Mail(from string, _ *smtp.MailOptions) error {
	m.mailed = mailed{from: from}
	if strings.HasPrefix(from, "mallory@") {
		return &smtp.SMTPError{Code: 550, Message: "not yours"}
	}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.s.tries++
	if _, ok := m.conn.TLSConnectionState(); ok {
		m.s.tls++
	}
	if m.s.onMail != nil {
		return m.s.onMail(m.s.tries)
	}
	return nil
}

func (m *mailTestSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if m.s.onRcpt != nil {
		if err := m.s.onRcpt(to); err != nil {
			return err
		}
	}
	m.to = append(m.to, to)
	return nil
}

func (m *mailTestSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m.raw = raw
	if err := m.read(); err != nil {
		m.s.t.Errorf("read mail: %v\n%s", err, raw)
	}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if m.s.onData != nil {
		if err := m.s.onData(m.s.tries, &m.mailed); err != nil {
			return err
		}
	}
	m.s.got = append(m.s.got, m.mailed)
	return nil
}

func (m *mailTestSession) Reset()        {}
func (m *mailTestSession) Logout() error { return nil }

// read takes the mail apart.
func (m *mailed) read() error {
	msg, err := mail.ReadMessage(bytes.NewReader(m.raw))
	if err != nil {
		return err
	}
	m.header = msg.Header
	if m.subject, err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil {
		return err
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		body, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			return err
		}
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			m.html = string(body)
		} else {
			m.text = string(body)
		}
	}
}

func (s *mailServer) mails() []mailed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *mailServer) output(t *testing.T, extra string) (*emailOutput, Params) {
	t.Helper()
	out, p := makeOutput(t, "email", fmt.Sprintf("server = %q\nfrom = \"Gatebook <gatebook@example.org>\"\nto = [\"soc@example.org\"]\nca = %q\nrate = \"0\"\n%s", s.addr, s.ca, extra), Env{})
	e := out.(*emailOutput)
	e.gather.wait = 20 * time.Millisecond
	return e, p
}

const mailLogin = "username = \"gatebook\"\npassword = env(\"P\")\n"

func TestEmail(t *testing.T) {
	f := func(mode, extra string, wantTLS, wantAuth int) {
		t.Helper()
		s := newMailServer(t, mode)
		out, params := s.output(t, "tls = \""+mode+"\"\n"+extra)
		l := openLog(t, t.TempDir(), epochA)
		defer l.Close()
		l.addAlerts(alert("1", "e1", "bob"), alert("2", "e1", "203.0.113.9"), alert("3", "e2", "low", level(severityLow)), alert("1", "e1", "bob", state("close")))
		once(t, l.reader("w"), out, fastOptions(params))
		got := s.mails()
		if len(got) != 2 {
			t.Fatalf("%s: %d mails", mode, len(got))
		}
		m := got[0]
		if m.subject != "[Gatebook] [HIGH] open: 5 failed logins for bob - bob" || m.from != "gatebook@example.org" || !slices.Equal(m.to, []string{"soc@example.org"}) {
			t.Errorf("%s: %q from %s to %s", mode, m.subject, m.from, m.to)
		}
		for _, want := range []string{"source.ip = bob", "source.ip = 203.0.113.9", "auth.bruteforce", "User: bob"} {
			if !strings.Contains(m.text, want) {
				t.Errorf("%s: no %q in %s", mode, want, m.text)
			}
		}
		if !strings.Contains(m.html, "source.ip = bob") || m.header.Get("Auto-Submitted") != "auto-generated" || m.header.Get("Importance") != "high" {
			t.Errorf("%s: mail %s", mode, m.raw)
		}
		if !strings.Contains(got[1].subject, "close") || got[1].header.Get("Message-ID") == m.header.Get("Message-ID") {
			t.Errorf("%s: second mail %s", mode, got[1].raw)
		}
		if s.tls != wantTLS || (s.auths > 0) != (wantAuth > 0) {
			t.Errorf("%s: %d mails encrypted, %d logins", mode, s.tls, s.auths)
		}
		l.wantAccounts("w", 3, 1, 0)
	}
	f("starttls", mailLogin, 2, 1)
	f("implicit", mailLogin, 2, 1)
	f("none", "", 0, 0)
}

// Mail goes unencrypted to this machine alone, with a checked certificate elsewhere, and the password is never shown.
func TestEmailIsHeld(t *testing.T) {
	f := func(name, mode, extra string, change func(*emailOutput), remedy string) {
		t.Helper()
		s := newMailServer(t, mode)
		out, params := s.output(t, extra)
		if change != nil {
			change(out)
		}
		p := hold(t, out, params)
		if !p.Hold || !strings.Contains(p.Remedy, remedy) || strings.Contains(p.Text, "0123456789abcdef") {
			t.Errorf("%s: %+v", name, p)
		}
		if len(s.mails()) > 0 {
			t.Errorf("%s: sent", name)
		}
	}
	f("no STARTTLS", "none", "", nil, "does not offer")
	f("wrong password", "starttls", "username = \"mallory\"\npassword = env(\"P\")\n", nil, "username and password")
	f("sender not allowed", "starttls", "", func(o *emailOutput) { o.mailer.from = &mail.Address{Address: "mallory@example.org"} }, "sender")
	f("unknown authority", "starttls", "", func(o *emailOutput) { o.mailer.tls.RootCAs = x509.NewCertPool() }, "authority")
	f("another name", "starttls", "", func(o *emailOutput) { o.mailer.tls.ServerName = "other.example" }, "authority")

	m := &mailer{}
	if _, err := m.dialLocal(context.Background(), "tcp", "192.0.2.1:25"); !errors.Is(err, errNotLocal) {
		t.Errorf("dialled: %v", err)
	}
}

func TestEmailAnswers(t *testing.T) {
	busy, never := &smtp.SMTPError{Code: 451, Message: "try again"}, &smtp.SMTPError{Code: 550, Message: "no such mailbox"}
	f := func(name string, set func(*mailServer), extra string, want, delivered, dead int) {
		t.Helper()
		s := newMailServer(t, "starttls")
		set(s)
		out, params := s.output(t, extra)
		dir := t.TempDir()
		l := openLog(t, dir, epochA)
		defer l.Close()
		l.addAlerts(alert("1", "e1", "a"), alert("2", "e2", "b"))
		letters, err := OpenDeadLetters(DeadLetterOptions{DataDir: dir, Label: "x"})
		if err != nil {
			t.Fatal(err)
		}
		defer letters.Close()
		o := fastOptions(params)
		o.DeadLetters = letters
		once(t, l.reader("w"), out, o)
		if n := len(s.mails()); n != want {
			t.Errorf("%s: %d mails", name, n)
		}
		if dead > 0 && !strings.Contains(readFile(t, filepath.Join(dir, "deadletter", "x.ndjson")), "550") {
			t.Errorf("%s: dead letter", name)
		}
		l.wantAccounts("w", delivered, 0, dead)
	}
	f("greylisted", func(s *mailServer) {
		s.onData = func(n int, _ *mailed) error {
			if n < 4 {
				return busy
			}
			return nil
		}
	}, "", 2, 2, 0)
	f("sender busy", func(s *mailServer) {
		s.onMail = func(n int) error {
			if n == 1 {
				return busy
			}
			return nil
		}
	}, "", 2, 2, 0)
	f("refused", func(s *mailServer) {
		s.onData = func(_ int, m *mailed) error {
			if strings.Contains(m.subject, "for a") {
				return never
			}
			return nil
		}
	}, "", 1, 1, 1)
	f("nobody there", func(s *mailServer) { s.onRcpt = func(string) error { return never } }, "", 0, 0, 2)
}

// One address that is gone does not silence the others.
func TestEmailRecipientGone(t *testing.T) {
	s := newMailServer(t, "starttls")
	s.onRcpt = func(to string) error {
		if to == "gone@example.org" {
			return &smtp.SMTPError{Code: 550, Message: "no such mailbox"}
		}
		return nil
	}
	out, params := s.output(t, "")
	out.mailer.to = []*mail.Address{{Address: "gone@example.org"}, {Address: "soc@example.org"}}
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	l.addAlerts(alert("1", "e1", "a"))
	once(t, l.reader("w"), out, fastOptions(params))
	if got := s.mails(); len(got) != 1 || !slices.Equal(got[0].to, []string{"soc@example.org"}) {
		t.Errorf("%d mails", len(got))
	}
	l.wantAccounts("w", 1, 0, 0)
}

// Nothing in an alert makes a header, a line of SMTP or an element.
func TestEmailWithHostileTexts(t *testing.T) {
	s := newMailServer(t, "starttls")
	out, params := s.output(t, `digest = "1h"`)
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	evil := func(e *event.Event) {
		e.User.Name, e.Host.Name = hostile, hostile
		e.Message, e.Rule.Name, e.Rule.ID, e.Rule.Description, e.Alert.Summary, e.Alert.Runbook = hostile, hostile, hostile, hostile, hostile+"\r\n.\r\nMAIL FROM:<x@y>", hostile
	}
	l.addAlerts(alert("1", "e1", hostile, evil), alert("2", "e2", hostile, evil, level(severityLow)))
	once(t, l.reader("w"), out, fastOptions(params)) // the end of the log sends the digest too
	got := s.mails()
	if len(got) != 2 {
		t.Fatalf("%d mails", len(got))
	}
	for _, m := range got {
		if len(m.header["Bcc"]) > 0 || len(m.header["Subject"]) != 1 || strings.ContainsAny(m.subject, "\r\n") || len(m.subject) > mostSubject {
			t.Errorf("headers %v", m.header)
		}
		for k := range m.header {
			if !slices.Contains([]string{"From", "To", "Subject", "Date", "Message-Id", "Auto-Submitted", "X-Gatebook-Delivery", "Importance", "Priority", "X-Priority",
				"X-Msmail-Priority", "Mime-Version", "Content-Type", "Content-Transfer-Encoding"}, k) {
				t.Errorf("header %s", k)
			}
		}
		if strings.Contains(m.html, "<script") || strings.Contains(m.html, "<https") || strings.Contains(m.text, "\u202e") {
			t.Errorf("HTML %s", m.html)
		}
	}
}

// lowAlerts are n of them, of some keys.
func lowAlerts(from, n int) []func(*event.Event) {
	var out []func(*event.Event)
	for i := from; i < from+n; i++ {
		out = append(out, alert(fmt.Sprint("low", i), fmt.Sprint("e", i), fmt.Sprint("key", i%3), level(severityLow)))
	}
	return out
}

// The digest says each alert once, over restarts, and urgent ones do not wait for it.
func TestEmailDigestSurvivesRestarts(t *testing.T) {
	s := newMailServer(t, "starttls")
	dir := t.TempDir()
	begin := time.Now()
	for round := range 4 {
		out, params := s.output(t, `digest = "1h"`)
		out.digest = 1500 * time.Millisecond
		l := openLog(t, dir, fmt.Sprintf("%032d", round))
		l.addAlerts(lowAlerts(round*10, 10)...)
		l.addAlerts(alert(fmt.Sprint("u", round), fmt.Sprint("u", round), "urgent"))
		o := fastOptions(params)
		o.Stats = &Stats{}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- Run(ctx, l.reader("w"), out, o) }()
		testkit.Eventually(t, 20*time.Second, func() bool {
			return len(s.mails()) >= round+1 && o.Stats.Figures().InFlight == 0 && o.Stats.Figures().Outstanding <= 1
		})
		if round == 3 {
			testkit.Eventually(t, 20*time.Second, func() bool { return slices.ContainsFunc(s.mails(), isDigest) && o.Stats.Figures().Outstanding == 0 })
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	total, digests := 0, 0
	for _, m := range s.mails() {
		if isDigest(m) {
			var n int
			if _, err := fmt.Sscan(m.text, &n); err != nil {
				t.Fatal(err)
			}
			total, digests = total+n, digests+1
		}
	}
	if total != 40 || len(s.mails())-digests != 4 {
		t.Errorf("%d alerts in %d digests, %d mails, after %v", total, digests, len(s.mails()), time.Since(begin))
	}
}

func isDigest(m mailed) bool { return strings.Contains(m.subject, "digest: ") }

// A digest that fails is sent again, with the same id, and says what came meanwhile.
func TestEmailDigestFails(t *testing.T) {
	s := newMailServer(t, "starttls")
	ids := map[string]bool{}
	s.onData = func(n int, m *mailed) error {
		ids[m.header.Get("Message-ID")] = true
		if n < 3 {
			return &smtp.SMTPError{Code: 451, Message: "try again"}
		}
		return nil
	}
	out, params := s.output(t, `digest = "1h"`)
	out.digest = 50 * time.Millisecond
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	l.addAlerts(lowAlerts(0, 7)...)
	once(t, l.reader("w"), out, fastOptions(params))
	got := s.mails()
	if len(got) != 1 || len(ids) != 1 || got[0].subject != "[Gatebook] digest: 7 alert records of 1 rule" {
		t.Errorf("%d mails, %d ids", len(got), len(ids))
	}
	for _, want := range []string{"auth.bruteforce (low): 7 opened", "3 x key0", "2 x key1"} {
		if !strings.Contains(got[0].text, want) {
			t.Errorf("no %q in %s", want, got[0].text)
		}
	}
	l.wantAccounts("w", 7, 0, 0)
}

// batchOf makes a batch of alerts as the driver would.
func batchOf(t *testing.T, fills ...func(*event.Event)) *Batch {
	t.Helper()
	enc := event.NewEncoder(event.EncoderOptions{Namespace: "default", Epoch: epochA})
	sel := newSelection(nil)
	for i, fill := range fills {
		var e event.Event
		fill(&e)
		item, _ := enc.AppendItem(nil, nil, &e, uint64(i))
		sel.add(uint64(i), item, false)
	}
	b := &Batch{}
	b.add(sel.Part)
	return b
}

// The first alert of a digest waits until it is due. Where another one finds it due before, the first comes to nothing.
func TestDigestAlarm(t *testing.T) {
	s := newMailServer(t, "starttls")
	out, _ := s.output(t, `digest = "1h"`)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	write := func(later bool, mails int, fills ...func(*event.Event)) {
		t.Helper()
		// Each Write is the first after a restart.
		state, err := out.Checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		out, _ = s.output(t, `digest = "1h"`)
		out.now = func() time.Time { return now }
		if err := out.Restore(state); err != nil {
			t.Fatal(err)
		}
		err = out.Write(context.Background(), batchOf(t, fills...))
		var p *PartialError
		if errors.As(err, &p) != later || later && (len(p.Items) != 1 || p.Items[0].Index != 0 || p.Items[0].Verdict != Later || !p.Items[0].Until.After(now)) || !later && err != nil {
			t.Errorf("got %+v", err)
		}
		if n := len(s.mails()); n != mails {
			t.Errorf("%d mails", n)
		}
	}
	low := lowAlerts(0, 6)
	write(true, 0, low[0], low[1])
	now = now.Add(30 * time.Minute)
	write(true, 0, low[0])
	write(false, 0, low[2])
	now = now.Add(31 * time.Minute)
	write(false, 1, low[3])
	write(false, 1, low[0])
	write(true, 1, low[4])
	now = now.Add(61 * time.Minute)
	write(false, 2, low[4], low[5])
	for i, want := range []string{"4 alert records", "2 alert records"} {
		if got := s.mails()[i].text; !strings.HasPrefix(got, want) {
			t.Errorf("digest %s", got)
		}
	}
}

// However many alerts there are, what is stored with the cursor is small, and none is left out of the count.
func TestDigestIsBounded(t *testing.T) {
	var s digestState
	s.begin("alarm", time.Unix(1, 0), time.Hour)
	for i := range 20_000 {
		var e event.Event
		alert("1", "e", fmt.Sprintf("\"<%d> %s", i, hostile), func(e *event.Event) { e.Rule.ID = fmt.Sprintf("rule-%d-%s", i%100, hostile) })(&e)
		s.fold(&e)
		if i%50 == 0 {
			s.shrink()
		}
	}
	s.shrink()
	if n := len(s.text()); n > mostDigest || s.total() != 20_000 {
		t.Errorf("%d bytes, %d alerts", n, s.total())
	}
	var back digestState
	if err := back.parse(s.text()); err != nil || back.text() != s.text() {
		t.Errorf("read back: %v", err)
	}
}
