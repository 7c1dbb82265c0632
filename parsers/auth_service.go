package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// authService reads the logs of the auth service: JSON rows of six streams, told apart by their keys.
//
//	line -> (envelope off) -> svcRow -> which stream -> audit | event | job | notification | session | grant -> Event
//
// Session, grant and job rows are states: each row says how things stand at its time. A row that repeats a state is an event
// again; who wants each state once folds them by id (query/sessions).
type authService struct {
	name  string
	base  string // of the datasets
	times timeReader
	codes map[string]*code // of the config, by folded event.code
	sets  [svcStreams]string
}

// svcStreamID is one of the streams.
type svcStreamID uint8

const (
	svcNone svcStreamID = iota
	svcAudit
	svcEvent
	svcJob
	svcNotification
	svcSession
	svcGrants
	svcStreams
)

var svcStreamNames = [svcStreams]string{svcAudit: "audit", svcEvent: "event", svcJob: "job", svcNotification: "notification",
	svcSession: "session", svcGrants: "grant"}

// svcStreamWords are the words by which a row names its stream.
var svcStreamWords = newNames(map[uint8]string{
	uint8(svcAudit):        "audit audits auditlog auditlogs auditevent",
	uint8(svcEvent):        "event events eventlog eventlogs loginevent loginevents authevent",
	uint8(svcJob):          "job jobs joblog joblogs",
	uint8(svcNotification): "notification notifications notificationlog notificationlogs emaillog",
	uint8(svcSession):      "session sessions sessionlog sessionlogs",
	uint8(svcGrants):       "grant grants grantlog grantlogs",
})

const authServiceDataset = "auth_service"

func newAuthService(label string, body *conf.Body, o Options) (Parser, error) {
	p := &authService{name: "auth_service", base: authServiceDataset, times: newTimeReader(nil, o)}
	if body != nil {
		p.name = label
		p.base = readDataset(body, authServiceDataset)
		if t := body.Object("time"); t != nil {
			p.times = readTimes(t, o)
		}
		for _, t := range readCodes(body) {
			if t.field != "event.code" {
				body.Object("codes").Errorf(t.field, "%s", unknownName("code table of the auth service", t.field, []string{"event.code"}))
				continue
			}
			p.codes = map[string]*code{}
			for text, c := range t.byText {
				p.codes[foldedName(text)] = c
			}
		}
		body.Close()
	}
	for s, name := range svcStreamNames {
		p.sets[s] = event.DatasetPrefix + p.base + "." + name
	}
	return p, nil
}

func (p *authService) Dataset() string { return p.sets[svcEvent] }

func (p *authService) Parse(line Line, ev *event.Event) error {
	text := strings.TrimSpace(line.Text)
	if text == "" || text[0] != '{' {
		return ErrNoMatch
	}
	if err := event.CheckJSON(text); err != nil {
		return err
	}
	r := svcRow{ev: ev}
	r.read(text)
	stream := r.unwrap()
	if stream == svcNone {
		stream = r.stream()
	}
	if stream == svcNone {
		return ErrNoMatch
	}
	ev.Dataset, ev.Parser = p.sets[stream], p.name
	p.common(&r, stream, line.Received)
	switch stream {
	case svcAudit:
		p.audit(&r)
	case svcEvent:
		p.event(&r)
	case svcJob:
		p.job(&r)
	case svcNotification:
		p.notification(&r)
	case svcSession:
		p.session(&r)
	case svcGrants:
		p.grant(&r)
	}
	if ev.Outcome == "" {
		ev.Outcome = event.Unknown
	}
	r.rest()
	return nil
}

// site applies what the config says of event.code.
func (p *authService) site(ev *event.Event) {
	if len(p.codes) == 0 {
		return
	}
	var buf [maxName]byte
	if c := p.codes[string(foldName(buf[:0], ev.Code))]; c != nil {
		c.apply(ev)
		fitType(ev)
	}
}

// unwrap returns the stream that the row names, and takes the row out of {"type":"audit_log","data":{...}}.
func (r *svcRow) unwrap() svcStreamID {
	stream := r.named(svcStream)
	data := r.cells[svcData].value
	wrapped := r.keys.has(svcData) && data[0] == '{'
	if wrapped && stream == svcNone {
		stream = r.named(svcType)
	}
	if !wrapped || stream == svcNone {
		return stream
	}
	r.take(svcData)
	r.read(data)
	return stream
}

func (r *svcRow) named(k svcKey) svcStreamID {
	if !r.keys.has(k) {
		return svcNone
	}
	v := r.cells[k].value
	stream := svcStreamID(svcStreamWords.find(strings.Trim(v, `"`)))
	if v[0] != '"' || stream == svcNone {
		return svcNone
	}
	r.take(k)
	return stream
}

// stream tells the streams apart. A grant names its session, and a session may tell of its grant: only sessions have a protocol.
func (r *svcRow) stream() svcStreamID {
	k := &r.keys
	switch {
	case k.any(svcJobName, svcJobID) && k.any(svcJobType, svcStatus, svcStacktrace, svcMessage):
		return svcJob
	case k.has(svcRecipient) && k.any(svcSubject, svcCategory, svcBody):
		return svcNotification
	case k.has(svcAction) && k.any(svcActor, svcTarget, svcClientActor, svcOld, svcNew, svcDiff, svcComments):
		return svcAudit
	case k.has(svcEventType):
		return svcEvent
	case k.has(svcProtocol) && k.any(svcSessionID, svcID) && k.any(svcClientID, svcClient, svcUserID, svcUser):
		return svcSession
	case k.has(svcGrantID) && k.any(svcSessionID, svcEmail, svcProvider, svcClient, svcClientID):
		return svcGrants
	case k.all(svcSessionID, svcStatus) && k.any(svcEmail, svcUser) && k.any(svcProvider, svcClient):
		return svcGrants
	case k.has(svcSessionID) && k.any(svcStatus, svcScopes, svcClaims) && k.any(svcClientID, svcClient, svcUserID, svcUser):
		return svcSession
	}
	return r.named(svcType)
}

// common fills what all streams have: time, tenant, id of the row.
func (p *authService) common(r *svcRow, stream svcStreamID, received event.Time) {
	ev := r.ev
	first, second, third := svcTimestamp, svcCreated, svcUpdated
	state := stream == svcJob || stream == svcSession || stream == svcGrants
	if state {
		first, third = svcUpdated, svcTimestamp
		ev.Start = p.time(r, svcCreated, received, false)
	}
	for _, k := range [...]svcKey{first, second, third} {
		if ev.Time = p.time(r, k, received, !state || k != svcCreated); ev.Time != 0 {
			break
		}
	}
	if state && ev.Start != 0 {
		r.take(svcCreated)
	}
	if state {
		if ev.End = p.time(r, svcEnded, received, true); ev.Time < ev.End {
			ev.Time = ev.End
		}
	}
	if ev.Time == 0 {
		ev.Tag(tagArrivalTime)
	}
	tenant := r.thing(svcTenant)
	if id := r.scalar(svcTenantID); tenant.id == "" {
		tenant.id = id
	}
	if tenant.id != "" || tenant.name != "" {
		o := ev.NeedOrganization()
		o.ID, o.Name = tenant.id, tenant.name
		if ev.Realm = tenant.name; ev.Realm == "" {
			ev.Realm = tenant.id
		}
	}
}

// time reads a time, and takes it where it can be read and is wanted no more; else it stays for the labels.
func (p *authService) time(r *svcRow, k svcKey, received event.Time, take bool) event.Time {
	if !r.keys.has(k) {
		return 0
	}
	t, ok := p.times.read(plainJSON(r.cells[k].value), received)
	if !ok {
		r.ev.Tag(tagValueRejected)
		return 0
	}
	if take {
		r.take(k)
	}
	return t
}

// span sets the length of what has ended.
func (r *svcRow) span() {
	if ev := r.ev; ev.Start != 0 && ev.End >= ev.Start {
		ev.Duration = event.LongOf(int64(ev.End - ev.Start))
	}
}

// user takes the values that say who did it.
func (r *svcRow) user() {
	t := r.thing(svcUser)
	fill := func(to *string, k svcKey) {
		if *to == "" {
			*to = r.scalar(k)
		}
	}
	fill(&t.id, svcUserID)
	fill(&t.email, svcEmail)
	fill(&t.username, svcUsername)
	fill(&t.full, svcFullName)
	t.toUser(&r.ev.User)
}

// client takes the values that say what application was used.
func (r *svcRow) client(name, id svcKey) {
	t := r.thing(name)
	if t.id == "" {
		t.id = r.scalar(id)
	}
	if t.name == "" {
		t.name = t.email // a name with an @ in it
	}
	if t.id != "" || t.name != "" {
		c := r.ev.NeedClient()
		c.ID, c.Name = t.id, t.name
	}
	r.labelText("client_type", t.typ)
}

func (r *svcRow) provider() {
	t := r.thing(svcProvider)
	if t.id == "" {
		t.id = r.scalar(svcProviderID)
	}
	if t.id != "" || t.name != "" {
		c := r.ev.NeedProvider()
		c.ID, c.Name = t.id, t.name
	}
	r.labelText("provider_type", t.typ)
}

// address takes source and program of the client.
func (r *svcRow) address() {
	ev := r.ev
	if ip := r.scalar(svcIP); event.ValidIP(ip) {
		ev.Source.IP = ip
	} else if ip != "" {
		ev.Tag(tagValueRejected)
		r.labelText("ip", ip)
	}
	ev.UserAgent.Original = r.scalar(svcUserAgent)
}

func (r *svcRow) labelText(key, text string) { labelCell(r.ev, event.LabelKey(key), text) }

// errors takes error and reason; the reason is the error where the row gives no other.
func (r *svcRow) errors() {
	ev := r.ev
	if e := r.take(svcError); e != "" && e[0] == '{' {
		r.errorObject(e)
	} else if e = plainJSON(e); e != "" && e != "false" {
		ev.NeedError().Message = e
	}
	if ev.Reason = r.scalar(svcReason); ev.Reason == "" && ev.Error != nil {
		ev.Reason = ev.Error.Message
	}
}

func (r *svcRow) errorObject(s string) {
	e := r.ev.NeedError()
	var space [16]jsonMember
	for _, m := range membersOf(space[:0], s) {
		text := plainJSON(m.value)
		switch {
		case m.key == "message" && e.Message == "":
			e.Message = text
		case m.key == "code" && e.Code == "":
			e.Code = text
		case (m.key == "type" || m.key == "name") && e.Type == "":
			e.Type = text
		case m.key == "stack" || m.key == "stacktrace":
			e.StackTrace = text
		default:
			r.label("error_"+m.key, m.value)
		}
	}
}

// said returns the outcome that the row states: by success, outcome, status or an error.
func (r *svcRow) said() event.Outcome {
	out := event.Outcome("")
	for _, k := range [...]svcKey{svcSuccess, svcOutcome, svcStatus} {
		if !r.keys.has(k) {
			continue
		}
		if o, ok := outcomeOf(plainJSON(r.cells[k].value)); ok {
			if k != svcStatus {
				r.take(k)
			}
			if out == "" || o == event.Failure {
				out = o
			}
		}
	}
	if r.ev.Error != nil {
		return event.Failure
	}
	return out
}

// state takes the status, as logged and in lower case.
func (r *svcRow) state() string {
	s := r.scalar(svcStatus)
	r.ev.Status.Name = s
	return strings.ToLower(s)
}
