package outputs

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// respondRequest is one action on one target for one alert, as its file says it. The folder says its state.
type respondRequest struct {
	ID       string        `json:"id"`
	Action   string        `json:"action"`
	Target   respondTarget `json:"target"`
	Rule     string        `json:"rule"`
	Title    string        `json:"title"`
	Alert    string        `json:"alert"`
	TTL      int64         `json:"ttl"` // seconds
	Auto     bool          `json:"auto,omitempty"`
	Created  time.Time     `json:"created"`
	Decided  time.Time     `json:"decided,omitzero"`
	By       string        `json:"by,omitempty"` // who approved or denied
	Done     time.Time     `json:"done,omitzero"`
	Undo     time.Time     `json:"undo,omitzero"` // when it is to be undone
	Finished time.Time     `json:"finished,omitzero"`
	Step     string        `json:"step,omitempty"` // the last one
	Reason   string        `json:"reason,omitempty"`

	state    string
	attempts int
	due      time.Time // of the next attempt
}

// respondTarget is who or what is acted on.
type respondTarget struct {
	Type    string `json:"type"`
	Name    string `json:"name,omitempty"`
	Key     string `json:"key,omitempty"`
	Address string `json:"address,omitempty"`
}

func (t *respondTarget) empty() bool { return t.Name == "" && t.Address == "" }

func (t *respondTarget) String() string {
	if t.Type == "user" {
		return t.Name
	}
	return t.Address
}

// The states of a request, folders too, in their order.
const (
	statePending = "pending"
	stateDue     = "due"
	stateActive  = "active"
	stateDone    = "done"
	// decidedDir is where Approve and Deny put their word.
	decidedDir = "decided"
)

var respondStates = []string{statePending, stateDue, stateActive, stateDone}

// mostRequestFile bounds what is read of a file.
const mostRequestFile = 64 << 10

// load reads all requests. Where a crash left one in two states the later one counts.
func (r *Responder) load() error {
	for _, dir := range append(slices.Clone(respondStates), decidedDir) {
		if err := os.MkdirAll(filepath.Join(r.dir, dir), 0o700); err != nil {
			return err
		}
	}
	if err := syncDir(r.dir); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, state := range respondStates {
		ids, err := requestIDs(filepath.Join(r.dir, state))
		if err != nil {
			return err
		}
		for _, id := range ids {
			q := &respondRequest{}
			if err := readRequest(r.path(state, id), q); err != nil {
				r.log.Error("request to respond cannot be read, it is left as it is", "file", r.path(state, id), "err", err)
				continue
			}
			if old := r.requests[id]; old != nil {
				if err := os.Remove(r.path(old.state, id)); err != nil {
					return err
				}
			}
			q.ID, q.state = id, state
			r.requests[id] = q
		}
	}
	return nil
}

func (r *Responder) path(state, id string) string { return filepath.Join(r.dir, state, id+".json") }

// put makes a request's new state durable, then takes the old file away.
func (r *Responder) put(q *respondRequest, state string) error {
	data, err := json.Marshal(q)
	if err != nil {
		return err
	}
	if err := writeDurable(r.path(state, q.ID), data); err != nil {
		return fmt.Errorf("write request: %w", err)
	}
	old := q.state
	r.mu.Lock()
	q.state = state
	r.requests[q.ID] = q
	r.mu.Unlock()
	if old != "" && old != state {
		if err := os.Remove(r.path(old, q.ID)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove request: %w", err)
		}
	}
	return nil
}

// writeDurable replaces a file, all of it or nothing.
func writeDurable(path string, data []byte) error {
	tmp, err := writeTemp(filepath.Dir(path), data, 0o600)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return syncDir(filepath.Dir(path))
}

func writeTemp(dir string, data []byte, perm os.FileMode) (string, error) {
	name := make([]byte, 8)
	if _, err := rand.Read(name); err != nil {
		return "", err
	}
	path := filepath.Join(dir, ".new-"+hex.EncodeToString(name))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
	if err != nil {
		return "", err
	}
	_, err = f.Write(append(data, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(path))
	}
	return path, nil
}

// requestIDs names the requests in a folder, sorted. What a crash left half-written is taken away.
func requestIDs(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		switch {
		case ok && validRequestID(id):
			ids = append(ids, id)
		case strings.HasPrefix(e.Name(), ".new-"):
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Hour {
				_ = os.Remove(filepath.Join(dir, e.Name()))
			}
		}
	}
	return ids, nil
}

func validRequestID(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == ""
}

func readRequest(path string, into any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, errors.New("no regular file"))
	}
	data, err := io.ReadAll(io.LimitReader(f, mostRequestFile))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// Pending is a request that waits for a person.
type Pending struct {
	ID      string
	Action  string
	Target  string // user or address
	Rule    string
	Title   string
	Alert   string // gatebook.alert.id
	TTL     time.Duration
	Created time.Time
	Expires time.Time
	Reason  string // why it is not automatic, where it would be
}

// Approvals lists the requests that wait for a person, oldest first. dir is RespondDir. It may be called by another process.
func Approvals(dir string) ([]Pending, error) {
	ids, err := requestIDs(filepath.Join(dir, statePending))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list requests: %w", err)
	}
	var out []Pending
	for _, id := range ids {
		if _, err := os.Lstat(filepath.Join(dir, decidedDir, id+".json")); err == nil {
			continue
		}
		var q respondRequest
		if err := readRequest(filepath.Join(dir, statePending, id+".json"), &q); errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("read request %s: %w", id, err)
		}
		out = append(out, Pending{ID: id, Action: q.Action, Target: q.Target.String(), Rule: q.Rule, Title: q.Title, Alert: q.Alert,
			TTL: time.Duration(q.TTL) * time.Second, Created: q.Created, Expires: q.Created.Add(pendingFor), Reason: q.Reason})
	}
	slices.SortStableFunc(out, func(a, b Pending) int { return a.Created.Compare(b.Created) })
	return out, nil
}

// The errors of Approve and Deny.
var (
	ErrNoRequest = errors.New("no such request waits for approval")
	ErrDecided   = errors.New("the request is decided already")
)

// decision is the word of a person.
type decision struct {
	Approve bool      `json:"approve"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

// Approve lets a request be carried out. who is who says so, for the audit trail. It may be called by another process; of two
// decisions on one request the first counts, the other gets ErrDecided.
func Approve(dir, id, who string) error { return decide(dir, id, who, true) }

// Deny ends a request that waits, as Approve.
func Deny(dir, id, who string) error { return decide(dir, id, who, false) }

func decide(dir, id, who string, approve bool) error {
	if !validRequestID(id) {
		return ErrNoRequest
	}
	if who = cleanText(who, 100); who == "" {
		return errors.New("decide request: nobody says so")
	}
	if _, err := os.Lstat(filepath.Join(dir, statePending, id+".json")); errors.Is(err, os.ErrNotExist) {
		return ErrNoRequest
	} else if err != nil {
		return fmt.Errorf("decide request: %w", err)
	}
	data, err := json.Marshal(decision{approve, who, time.Now().UTC()})
	if err != nil {
		return err
	}
	// The folder is open to the agent's user alone; the file has to be readable by it where root decides.
	tmp, err := writeTemp(filepath.Join(dir, decidedDir), data, 0o644)
	if err != nil {
		return fmt.Errorf("decide request: %w", err)
	}
	err = os.Link(tmp, filepath.Join(dir, decidedDir, id+".json"))
	if rerr := os.Remove(tmp); err == nil {
		err = rerr
	}
	if errors.Is(err, os.ErrExist) {
		return ErrDecided
	}
	if err == nil {
		err = syncDir(filepath.Join(dir, decidedDir))
	}
	if err != nil {
		return fmt.Errorf("decide request: %w", err)
	}
	return nil
}
