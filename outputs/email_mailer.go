package outputs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"net/textproto"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// mailer sends mail through one server of the config.
type mailer struct {
	host               string
	port               int
	mode               string // starttls, implicit or none
	localOnly          bool
	tls                *tls.Config
	username, password string
	from               *mail.Address
	to                 []*mail.Address
	timeout            time.Duration
}

// letter is a mail without its addresses. Its texts are clean: no line breaks in the subject.
type letter struct {
	id         string // hex digits, part of Message-ID
	subject    string
	text, html string
	important  bool
}

// mailSession is a connection to the server, logged in.
type mailSession struct {
	m      *mailer
	client *gomail.Client
	conn   *smtp.Client
}

func (m *mailer) dial(ctx context.Context) (*mailSession, error) {
	opts := []gomail.Option{gomail.WithPort(m.port), gomail.WithTimeout(m.timeout), gomail.WithTLSConfig(m.tls)}
	switch m.mode {
	case "implicit":
		opts = append(opts, gomail.WithSSL())
	case "none":
		opts = append(opts, gomail.WithTLSPolicy(gomail.NoTLS))
		if m.localOnly {
			opts = append(opts, gomail.WithDialContextFunc(m.dialLocal))
		}
	default:
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if m.username != "" {
		opts = append(opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(m.username), gomail.WithPassword(m.password))
	}
	client, err := gomail.NewClient(m.host, opts...)
	if err != nil {
		return nil, err
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return &mailSession{m, client, conn}, nil
}

// dialError says why no connection was made.
func (m *mailer) dialError(err error) *RequestError {
	e := &RequestError{Host: m.host, Err: fmt.Errorf("connect to %s: %s", m.host, cleanText(err.Error(), 500))}
	var (
		said    *textproto.Error
		unknown *tls.CertificateVerificationError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &said):
		e.Status = said.Code
		if said.Code >= 500 {
			e.Hold, e.Remedy = true, "check username and password, and that the server lets this machine in"
		}
	case errors.As(err, &unknown):
		e.Hold, e.Remedy = true, "give the authority of the server's certificate as ca, and use the name that the certificate has"
	case errors.As(err, &record):
		e.Hold, e.Remedy = true, `the server does not speak TLS from the start: tls = "starttls", port 587`
	case errors.Is(err, errNotLocal):
		e.Hold, e.Remedy = true, `use tls = "starttls", or insecure = true where nobody can read along`
	case strings.Contains(err.Error(), "does not support STARTTLS"), isNoAuth(err):
		e.Hold, e.Remedy = true, "the server does not offer what tls or username ask for: see the error"
	}
	return e
}

func isNoAuth(err error) bool {
	for _, known := range []error{gomail.ErrPlainAuthNotSupported, gomail.ErrLoginAuthNotSupported, gomail.ErrNoSupportedAuthDiscovered} {
		if errors.Is(err, known) {
			return true
		}
	}
	return err.Error() == "server does not support SMTP AUTH"
}

func (s *mailSession) close() { _ = s.client.CloseWithSMTPClient(s.conn) }

// send sends a letter to all recipients in one mail. Where the server will have none of some recipient for good, each gets a mail
// of its own, so that one address that is gone does not silence the others.
func (s *mailSession) send(l *letter, log *slog.Logger) answer {
	a, rcpt := s.sendTo(l, s.m.to)
	if !rcpt || len(s.m.to) == 1 {
		return a
	}
	taken := false
	for _, to := range s.m.to {
		one, _ := s.sendTo(l, []*mail.Address{to})
		switch {
		case one.ok():
			taken = true
		case one.refused:
			log.Error("mail server refuses a recipient for good", "host", s.m.host, "recipient", to.Address, "status", one.status, "reason", one.reason,
				"remedy", "correct to")
		default:
			if !taken {
				return one
			}
			log.Error("mail could not be sent to one of its recipients", "host", s.m.host, "recipient", to.Address, "status", one.status, "reason", one.reason)
		}
	}
	if taken {
		return answer{}
	}
	return a
}

// sendTo sends one mail; rcpt says that recipients are what is refused for good.
func (s *mailSession) sendTo(l *letter, to []*mail.Address) (a answer, rcpt bool) {
	msg, err := s.m.compose(l, to)
	if err != nil {
		return answer{refused: true, reason: fmt.Sprintf("compose mail: %v", err)}, false
	}
	err = s.client.SendWithSMTPClient(s.conn, msg)
	if err == nil || msg.IsDelivered() {
		return answer{}, false
	}
	a.reason = fmt.Sprintf("%s: %s", s.m.host, cleanText(err.Error(), 500))
	trouble := &RequestError{Host: s.m.host, Err: errors.New("send mail by " + a.reason)}
	var se *gomail.SendError
	if !errors.As(err, &se) || se.ErrorCode() == 0 {
		trouble.Unknown = true
		a.request = trouble
		return a, false
	}
	a.status = se.ErrorCode()
	trouble.Status = a.status
	switch {
	case a.status == 421, se.Reason == gomail.ErrConnCheck:
		a.request = trouble
	case a.status < 500:
		a.again = true
	case se.Reason == gomail.ErrSMTPMailFrom:
		trouble.Hold, trouble.Remedy = true, "the server does not take mail of this sender: check from, username and password"
		a.request = trouble
	default:
		a.refused, rcpt = true, se.Reason == gomail.ErrSMTPRcptTo
	}
	return a, rcpt
}

// compose makes the mail. Headers are encoded by go-mail (RFC 2047).
func (m *mailer) compose(l *letter, to []*mail.Address) (*gomail.Msg, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(m.from)
	msg.ToMailAddress(to...)
	msg.Subject(l.subject)
	msg.SetDate()
	domain := "gatebook.invalid"
	if i := strings.LastIndexByte(m.from.Address, '@'); i >= 0 {
		domain = m.from.Address[i+1:]
	}
	msg.SetMessageIDWithValue(l.id + "@" + domain)
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Gatebook-Delivery", l.id)
	if l.important {
		msg.SetImportance(gomail.ImportanceHigh)
	}
	msg.SetBodyString(gomail.TypeTextPlain, l.text)
	msg.AddAlternativeString(gomail.TypeTextHTML, l.html)
	return msg, nil
}
