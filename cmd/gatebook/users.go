package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/agent"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/outputs"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/query/sessions"
	"github.com/gatebook/gatebook/store"
)

// sessionOptions are the flags that users and sessions share.
type sessionOptions struct {
	config, store, output, now string
	since                      string
	idle                       time.Duration
	limit                      int
}

func (o *sessionOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	configFlag(cmd, &o.config)
	f.StringVar(&o.store, "store", "", "folder of the store, in place of the config's")
	f.StringVarP(&o.output, "output", "o", "table", "table or json (one object a line)")
	f.IntVarP(&o.limit, "limit", "n", 100, "most lines to show; 0 for all")
	f.StringVar(&o.now, "now", "", "RFC 3339 time to look from (default: now)")
	f.StringVar(&o.since, "since", "", "first time to look at: a date, a time, or a length before now such as -30d (default: all)")
	f.DurationVar(&o.idle, "idle", 12*time.Hour, "silence after which a session that nobody ended is not counted as logged in")
}

func usersCommand() *cobra.Command {
	var o sessionOptions
	cmd := &cobra.Command{
		Use:   "users [NAME]",
		Short: "Show last login, last logout and who is logged in now",
		Long: `users shows every user of the embedded store: the last login and logout, how and from where it was, what the source said of
the latest attempt, failed attempts since, and whether the user is logged in now. With a name (user, e-mail address, id or
gatebook.user.key) it shows that user's sessions, the newest first.`,
		Example: `  gatebook users
  gatebook users ana@example.com
  gatebook users --output json | jq 'select(.logged_in)'`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := o.view(cmd)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return v.history(args[0])
			}
			return v.users()
		},
	}
	o.flags(cmd)
	return cmd
}

func sessionsCommand() *cobra.Command {
	var o sessionOptions
	var user, status string
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "Show sessions, the newest first",
		Long: `sessions shows the stays of users that the events of the embedded store tell of: begin, end, how it ended, from where and by
which way in. Several lines of one login (sshd, PAM, logind; a login and its row in a session table) are one session.`,
		Example: `  gatebook sessions --status active
  gatebook sessions --user ana --since -7d`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			want := sessions.Status(status)
			if status != "" && !slices.Contains(sessions.Statuses(), want) {
				return usageError{fmt.Errorf("--status %q: want one of %q", status, sessions.Statuses())}
			}
			v, err := o.view(cmd)
			if err != nil {
				return err
			}
			list := v.tracker.Sessions()
			if user != "" {
				list = v.tracker.History(user)
			}
			return v.sessions(slices.DeleteFunc(list, func(s *sessions.Session) bool { return want != "" && v.status(s) != want }))
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&user, "user", "", "only of this user: name, e-mail address, id or key")
	cmd.Flags().StringVar(&status, "status", "", "only those: active, ended, expired, revoked, ...")
	return cmd
}

// sessionView shows what a tracker worked out.
type sessionView struct {
	sessionOptions
	tracker  *sessions.Tracker
	at       event.Time
	location *time.Location
	out, err io.Writer
}

// view reads the store.
func (o *sessionOptions) view(cmd *cobra.Command) (*sessionView, error) {
	if o.output != "table" && o.output != "json" {
		return nil, usageError{fmt.Errorf("--output %q: want table or json", o.output)}
	}
	now, err := timeFlag(o.now)
	if err != nil {
		return nil, err
	}
	v := &sessionView{sessionOptions: *o, at: event.TimeOf(now), location: time.Local, out: cmd.OutOrStdout(), err: cmd.ErrOrStderr()}
	if o.store == "" {
		c, err := loadConfig(cmd, o.config, agent.LoadOptions{Logger: logger(cmd), SkipRules: true})
		if err != nil {
			return nil, err
		}
		v.store, v.location = filepath.Join(c.DataDir, outputs.StoreDir), c.Location
	}
	where := query.And{Of: []query.Expr{sessionEvents()}}
	if o.since != "" {
		since, err := query.ParseSimple("since="+strconv.Quote(o.since), now, v.location)
		if err != nil {
			return nil, usageError{fmt.Errorf("--since %q: want a date, a time, or a length before now such as -30d", o.since)}
		}
		where.Of = append(where.Of, since)
	}
	s, err := store.Open(store.Options{Dir: v.store, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	v.tracker = sessions.New(sessions.Options{Idle: o.idle})
	if err := v.tracker.FromDocuments(s.Query(cmd.Context(), where, store.QueryOptions{OldestFirst: true, To: now.Add(time.Millisecond)})); err != nil {
		return nil, err
	}
	if n := v.tracker.Forgotten(); n > 0 {
		fmt.Fprintf(v.err, "%d older sessions are left out; --since looks at fewer\n", n)
	}
	return v, nil
}

// sessionEvents is the question for what sessions are made of.
func sessionEvents() query.Expr {
	in := query.In{Field: query.Field{ID: event.FieldEventAction}}
	for _, a := range sessions.Actions {
		in.Values = append(in.Values, query.Value{Kind: event.Str, Str: a.String()})
	}
	return in
}

func (v *sessionView) status(s *sessions.Session) sessions.Status { return v.tracker.StatusAt(s, v.at) }

func (v *sessionView) history(name string) error {
	if len(v.tracker.Find(name)) == 0 {
		fmt.Fprintf(v.err, "no user goes by %s\n", printable(name, 64))
		return errNo
	}
	return v.sessions(v.tracker.History(name))
}

func (v *sessionView) when(t event.Time) string {
	if t == 0 {
		return "-"
	}
	return t.Std().In(v.location).Format(time.DateTime)
}

func (v *sessionView) users() error {
	list := v.tracker.Users()
	slices.SortStableFunc(list, func(a, b *sessions.User) int { return int(min(1, max(-1, b.LastSeen-a.LastSeen))) })
	return v.show("users", []string{"USER", "LAST LOGIN", "LAST LOGOUT", "NOW", "ENTRY", "STATUS", "ADDRESS", "IN", "FAILED SINCE"}, len(list), func(i int) (any, []string) {
		u := list[i]
		open := v.tracker.LoggedIn(u.Key, v.at)
		now := "-"
		if len(open) > 0 {
			now = fmt.Sprintf("logged in (%d)", len(open))
		}
		return userRecord{u.Key, u.Name, u.Email, u.ID, stamp(u.LastLogin), stamp(u.LastLogout), stamp(u.LastFailure), len(open) > 0, len(open), u.Entry, u.Status,
				u.Address, u.Country, u.Logins, u.Failures, u.FailuresSince},
			[]string{u.Key, v.when(u.LastLogin), v.when(u.LastLogout), now, u.Entry, u.Status, u.Address, u.Country, fmt.Sprint(u.FailuresSince)}
	})
}

func (v *sessionView) sessions(list []*sessions.Session) error {
	return v.show("sessions", []string{"USER", "BEGAN", "ENDED", "STATUS", "ENTRY", "ADDRESS", "IN", "HOST", "APPLICATION", "SESSION"}, len(list), func(i int) (any, []string) {
		s := list[i]
		status := v.status(s)
		return sessionRecord{s.Key, s.User, s.ID, stamp(s.Started), stamp(s.Seen), stamp(s.Ended), status, s.Reason, s.Entry, s.Provider, s.Protocol, s.Client,
				s.Address, s.Country, s.Host, s.Agent, s.MFA, s.Events, strings.TrimPrefix(s.Dataset, event.DatasetPrefix)},
			[]string{s.Key, v.when(s.Started), v.when(s.Ended), string(status), s.Entry, s.Address, s.Country, s.Host, s.Client, s.ID}
	})
}

// userRecord is a user as JSON.
type userRecord struct {
	Key           string `json:"user_key"`
	Name          string `json:"name,omitempty"`
	Email         string `json:"email,omitempty"`
	ID            string `json:"id,omitempty"`
	LastLogin     string `json:"last_login,omitempty"`
	LastLogout    string `json:"last_logout,omitempty"`
	LastFailure   string `json:"last_failure,omitempty"`
	LoggedIn      bool   `json:"logged_in"`
	Sessions      int    `json:"open_sessions"`
	Entry         string `json:"entry,omitempty"`
	Status        string `json:"status,omitempty"`
	Address       string `json:"address,omitempty"`
	Country       string `json:"country,omitempty"`
	Logins        int64  `json:"login_attempts"`
	Failures      int64  `json:"failed_logins"`
	FailuresSince int64  `json:"failed_since_last_login"`
}

// sessionRecord is a session as JSON.
type sessionRecord struct {
	Key      string          `json:"user_key,omitempty"`
	User     string          `json:"user,omitempty"`
	ID       string          `json:"session_id,omitempty"`
	Began    string          `json:"began,omitempty"`
	Seen     string          `json:"last_seen,omitempty"`
	Ended    string          `json:"ended,omitempty"`
	Status   sessions.Status `json:"status"`
	Reason   string          `json:"reason,omitempty"`
	Entry    string          `json:"entry,omitempty"`
	Provider string          `json:"provider,omitempty"`
	Protocol string          `json:"protocol,omitempty"`
	Client   string          `json:"application,omitempty"`
	Address  string          `json:"address,omitempty"`
	Country  string          `json:"country,omitempty"`
	Host     string          `json:"host,omitempty"`
	Agent    string          `json:"user_agent,omitempty"`
	MFA      bool            `json:"mfa,omitempty"`
	Events   int             `json:"events"`
	Dataset  string          `json:"dataset,omitempty"`
}

func stamp(t event.Time) string {
	if t == 0 {
		return ""
	}
	return t.Std().UTC().Format(time.RFC3339)
}

// show writes n lines, or as many as the limit allows, as a table or as JSON.
func (v *sessionView) show(what string, titles []string, n int, line func(int) (any, []string)) error {
	shown := n
	if v.limit > 0 {
		shown = min(n, v.limit)
	}
	if v.output == "json" {
		enc := json.NewEncoder(v.out)
		for i := range shown {
			record, _ := line(i)
			if err := enc.Encode(record); err != nil {
				return err
			}
		}
	} else if n > 0 {
		w := tabwriter.NewWriter(v.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, strings.Join(titles, "\t"))
		for i := range shown {
			_, cells := line(i)
			for c := range cells {
				if cells[c] = printable(cells[c], 40); cells[c] == "" {
					cells[c] = "-"
				}
			}
			fmt.Fprintln(w, strings.Join(cells, "\t"))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if shown < n {
		fmt.Fprintf(v.err, "%d of %d %s are shown; --limit 0 shows all\n", shown, n, what)
	}
	return nil
}

// timeFlag reads a --now; empty is now.
func timeFlag(text string) (time.Time, error) {
	if text == "" {
		return time.Now(), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, usageError{errors.Join(fmt.Errorf("--now: %w", err))}
	}
	return t, nil
}
