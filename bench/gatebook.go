package main

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/gatebook/gatebook/bench/gen"
	"github.com/gatebook/gatebook/enrich/demogeo"
	_ "modernc.org/sqlite" // to count what is stored
)

// The configs of gatebook, one for each job, stand in this file and nowhere else. {data} is the file to read, {state} the
// data folder, {sink} host:port of the sink, {tcp} where to listen, {city} and {asn} GeoIP databases.

const gatebookHead = `data_dir = "{state}/data"
timezone = "UTC"
`

const gatebookSink = `output "elasticsearch" "sink" {
  hosts = ["http://{sink}"]
  gzip  = {gzip}
  setup = false
}
`

// gatebookLines is gatebookSink less the alerts, which the sink's count of lines knows nothing of.
const gatebookLines = `output "elasticsearch" "sink" {
  when  = event.kind == "event"
  hosts = ["http://{sink}"]
  gzip  = {gzip}
  setup = false
}
`

// gatebookReal is as a person would write it.
const gatebookReal = `output "elasticsearch" "real" {
  hosts = ["http://{sink}"]
  setup = true
}
`

const gatebookStore = `output "store" "local" {}
`

const gatebookRaw = `input "file" "bench" {
  paths  = ["{data}"]
  parser = "raw"
  from   = "beginning"
}
`

const gatebookAuth = `input "file" "bench" {
  paths  = ["{data}"]
  parser = "linux_auth"
  from   = "beginning"
}
`

const gatebookSyslog = `input "syslog" "bench" {
  listen = ["tcp://{tcp}"]
  parser = "auto"
}
`

const gatebookAudit = `input "file" "bench" {
  paths  = ["{data}"]
  parser = "audit"
  from   = "beginning"
}
parser "json" "audit" {
  dataset = "audit"
  time    = { field = "timestamp", layouts = ["rfc3339"] }
  fields = {
    "event.code"           = "action"
    "event.outcome"        = "status"
    "user.id"              = "actor.id"
    "user.email"           = "actor.email"
    "gatebook.actor.type"  = "actor.type"
    "source.ip"            = "ip"
    "user_agent.original"  = "user_agent"
    "gatebook.target.type" = "entity.type"
    "gatebook.target.id"   = "entity.id"
    "gatebook.old"         = "changes.old"
    "gatebook.new"         = "changes.new"
  }
  codes = {
    "event.code" = {
      "user.login"           = { action = "login" }
      "user.logout"          = { action = "logout" }
      "user.password_change" = { action = "password-change" }
      "document.update"      = { action = "update" }
      "document.share"       = { action = "update" }
      "role.grant"           = { action = "role-grant" }
      "role.revoke"          = { action = "role-revoke" }
      "apikey.create"        = { action = "create" }
      "apikey.delete"        = { action = "delete" }
      "export.run"           = { action = "export" }
      "settings.update"      = { action = "update" }
    }
  }
}
`

const gatebookExtras = `geoip {
  city = "{city}"
  asn  = "{asn}"
}
redact {
  keys     = ["session_key"]
  patterns = ["EMP-[0-9]{6}"]
}
rules {
  library = true
}
`

// gatebookConfigs are the parts of each job's config.
var gatebookConfigs = map[string][]string{
	"A": {gatebookHead, gatebookRaw, gatebookSink},
	"B": {gatebookHead, gatebookAuth, gatebookSink},
	"C": {gatebookHead, gatebookAudit, gatebookSink},
	"D": {gatebookHead, gatebookRaw, gatebookSink},
	"E": {gatebookHead, gatebookSyslog, gatebookSink},
	"Z": {gatebookHead, gatebookAuth, gatebookSink},
	"X": {gatebookHead, gatebookAuth, gatebookExtras, gatebookLines},
	"S": {gatebookHead, gatebookAuth, gatebookStore},

	"ES":  {gatebookHead, gatebookAuth, gatebookReal},
	"ESR": {gatebookHead, gatebookRaw, gatebookReal},
}

// gatebook builds the binary where none is given.
func (b *bench) gatebook(ctx context.Context) (shipper, error) {
	bin := b.binary
	if bin == "" {
		bin = filepath.Join(b.work, "bin", "gatebook")
		_, self, _, _ := runtime.Caller(0)
		cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, "./cmd/gatebook")
		cmd.Dir = filepath.Dir(filepath.Dir(self))
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return shipper{}, fmt.Errorf("build gatebook: %w\n%s", err, out)
		}
	}
	bin, err := filepath.Abs(bin)
	b.binary = bin
	return shipper{name: "gatebook", command: func(t task) (*exec.Cmd, error) {
		conf, err := b.gatebookConfig(t)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(t.state, "gatebook.hcl")
		if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
			return nil, err
		}
		args := []string{"run", "--config", path}
		if t.job.store {
			args = append(args, "--once")
		}
		cmd := exec.Command(bin, args...)
		cmd.Dir = t.state
		return cmd, nil
	}}, err
}

func (b *bench) gatebookConfig(t task) (string, error) {
	city, asn, err := b.geo()
	if err != nil {
		return "", err
	}
	gzip := strconv.FormatBool(t.job.name == "Z" || t.job.name == "X")
	r := strings.NewReplacer("{data}", t.data, "{state}", t.state, "{sink}", t.sink, "{tcp}", t.tcp, "{gzip}", gzip, "{city}", city, "{asn}", asn)
	return r.Replace(strings.Join(gatebookConfigs[t.job.name], "")), nil
}

// geo writes GeoIP databases that know every address of the lines.
func (b *bench) geo() (city, asn string, err error) {
	city, asn = filepath.Join(b.work, "data", "city.mmdb"), filepath.Join(b.work, "data", "asn.mmdb")
	if _, err := os.Stat(asn); err == nil {
		return city, asn, nil
	}
	var places []demogeo.Place
	for _, o := range gen.Octets {
		for half := range 16 { // so that neighbours differ
			p := demogeo.Places[(o+half)%len(demogeo.Places)]
			p.Network = fmt.Sprintf("%d.%d.0.0/12", o, half*16)
			places = append(places, p)
		}
	}
	if err := demogeo.WriteCity(city, places); err != nil {
		return "", "", err
	}
	return city, asn, demogeo.WriteASN(asn, places)
}

// countStored counts the rows of the largest table of any SQLite database below dir, which is that of the events.
func countStored(ctx context.Context, dir string) (int64, error) {
	most, found := int64(0), false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !isSQLite(path) {
			return err
		}
		found = true
		n, err := countRows(ctx, path)
		most = max(most, n)
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("count stored events: no database below %s", dir)
	}
	return most, err
}

func isSQLite(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 15)
	_, err = f.Read(head)
	return err == nil && string(head) == "SQLite format 3"
}

func countRows(ctx context.Context, path string) (most int64, err error) {
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		return 0, fmt.Errorf("open %s: %w", path, err)
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND sql NOT LIKE 'CREATE VIRTUAL%'`)
	if err != nil {
		return 0, fmt.Errorf("list tables of %s: %w", path, err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return 0, err
		}
		names = append(names, name)
	}
	for _, name := range names {
		var n int64
		if err := db.QueryRowContext(ctx, `SELECT count(*) FROM "`+name+`"`).Scan(&n); err != nil {
			return 0, fmt.Errorf("count rows of %s: %w", name, err)
		}
		most = max(most, n)
	}
	return most, rows.Err()
}
