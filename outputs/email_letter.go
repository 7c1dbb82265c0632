package outputs

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	htmltemplate "html/template"
	"strconv"
	"strings"
	"text/template"
	"time"
)

//go:embed templates/mail_*
var mailTemplates embed.FS

var (
	mailFunctions = template.FuncMap{"upper": strings.ToUpper, "field": field, "level": severityName}
	mailText      = template.Must(template.New("").Funcs(mailFunctions).ParseFS(mailTemplates, "templates/mail_*.txt"))
	mailHTML      = htmltemplate.Must(htmltemplate.New("").Funcs(mailFunctions).ParseFS(mailTemplates, "templates/mail_*.html"))
)

// alertLetter is the mail about one notification.
func (o *emailOutput) alertLetter(n *Notification) (*letter, error) {
	keys := ""
	if len(n.Alerts) > 0 {
		keys = field(" - ", n.Alerts[0].Key)
	}
	l := &letter{id: n.ID, important: n.Severity.Number >= severityHigh && n.State == "open"}
	l.subject = subject(o.prefix, "["+strings.ToUpper(n.Severity.Name)+"] "+n.State+": "+n.Title+keys)
	return l, l.fill("mail_alert", n)
}

// digestLetter is the mail about what was not urgent.
func (o *emailOutput) digestLetter(s *digestState) (*letter, error) {
	type data struct {
		Total        int64
		Since, Until string
		Rules        []digestRule
		Others       int64
	}
	d := data{s.total(), time.Unix(0, s.Since).UTC().Format(time.RFC3339), o.now().UTC().Format(time.RFC3339), s.sorted(), s.Others}
	l := &letter{id: digestID(s)}
	rules := "1 rule"
	if len(d.Rules) != 1 {
		rules = strconv.Itoa(len(d.Rules)) + " rules"
	}
	l.subject = subject(o.prefix, "digest: "+strconv.FormatInt(d.Total, 10)+" alert records of "+rules)
	return l, l.fill("mail_digest", &d)
}

func (l *letter) fill(name string, data any) error {
	var text, html strings.Builder
	if err := mailText.ExecuteTemplate(&text, name+".txt", data); err != nil {
		return err
	}
	if err := mailHTML.ExecuteTemplate(&html, name+".html", data); err != nil {
		return err
	}
	l.text, l.html = text.String(), html.String()
	return nil
}

// mostSubject bounds a subject, in bytes.
const mostSubject = 200

// subject is one line, whatever is in it.
func subject(prefix, s string) string {
	return cleanText(strings.TrimSpace(prefix+" "+s), mostSubject)
}

// digestID is the same whenever the digest is sent again.
func digestID(s *digestState) string {
	sum := sha256.Sum256([]byte("digest " + s.Alarm))
	return hex.EncodeToString(sum[:16])
}
