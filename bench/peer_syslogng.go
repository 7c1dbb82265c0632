package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// syslogng with its HTTP output. In the fault runs it has its reliable disk buffer.
func syslogng(ctx context.Context, b *bench) (shipper, error) {
	root, err := b.debian(ctx, "syslogng", "syslog-ng-core", "syslog-ng-mod-http")
	if err != nil {
		return shipper{}, err
	}
	modules, err := folder(root + "/usr/lib/syslog-ng/[0-9]*")
	if err != nil {
		return shipper{}, err
	}
	return shipper{name: "syslogng", command: func(t task) (*exec.Cmd, error) {
		in := func(name string) string { return filepath.Join(t.state, name) }
		conf := in("syslog-ng.conf")
		if err := os.WriteFile(conf, []byte(syslogngConfig(t, filepath.Base(modules))), 0o644); err != nil {
			return nil, err
		}
		cmd := exec.Command(root+"/usr/sbin/syslog-ng", "-F", "--no-caps", "-f", conf, "--module-path", modules,
			"-R", in("persist"), "-c", in("ctl"), "-p", in("pid"), "--worker-threads=4")
		cmd.Env, cmd.Dir = libraries(root, "/usr/lib/syslog-ng"), t.state
		return cmd, nil
	}}, nil
}

const syslogngAuth = `parser p1 { regexp-parser(prefix("p.") patterns("^(?<time>[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d) (?<host>[^ ]+) (?<program>[^\\[:]+)(?:\\[(?<pid>\\d+)\\])?: (?<message>.*)$")); };
parser p2 { regexp-parser(prefix("p.") template("${p.message}") patterns("(?<event>Failed password|Accepted \\w+|Invalid user|Disconnected from|Connection closed by|Received disconnect from)(?: for)?(?: invalid user| authenticating user| user)? (?:(?<user>[^ ]+) )?(?:from )?(?<ip>\\d+\\.\\d+\\.\\d+\\.\\d+) port (?<port>\\d+)")); };
`

func syslogngConfig(t task, version string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "@version: %s\noptions { time-reopen(1); stats-freq(0); log-fifo-size(200000); keep-hostname(yes); chain-hostnames(no); use-dns(no); };\n", version)
	if t.job.tcp {
		host, port, _ := net.SplitHostPort(t.tcp)
		fmt.Fprintf(&s, "source s { network(ip(%q) port(%s) transport(tcp) flags(syslog-protocol) max-connections(%d) log-iw-size(400000) log-fetch-limit(1000)); };\n", host, port, t.conns+2)
	} else {
		fmt.Fprintf(&s, "source s { file(%q flags(no-parse) follow-freq(0.1) log-iw-size(100000) log-fetch-limit(2000)); };\n", t.data)
	}
	parse, body := "", "$(format-json --scope none @timestamp=$ISODATE message=$MESSAGE)"
	switch t.job.config() {
	case "B":
		s.WriteString(syslogngAuth)
		parse, body = "parser(p1); if { parser(p2); };", "$(format-json --scope none @timestamp=$ISODATE --key p.* --shift-levels 1)"
	case "C":
		s.WriteString("parser p1 { json-parser(prefix(\"j.\")); };\n")
		parse, body = "parser(p1);", "$(format-json --scope none --key j.* --shift-levels 1)"
	case "E":
		body = "$(format-json --scope none @timestamp=$ISODATE host=$HOST program=$PROGRAM pid=$PID severity=$LEVEL facility=$FACILITY message=$MESSAGE)"
	}
	disk := ""
	if t.safe || t.job.name == "D" {
		reliable := map[bool]string{true: "yes", false: "no"}[t.safe]
		disk = fmt.Sprintf("disk-buffer(reliable(%s) disk-buf-size(4G) mem-buf-length(20000) mem-buf-size(64M) dir(%q))", reliable, t.state)
	}
	fmt.Fprintf(&s, `destination d { http(url("http://%s/_bulk") method("POST") headers("Content-Type: application/x-ndjson")
  body("{\"create\":{\"_index\":\"%s\"}}\n%s\n") delimiter("") persist-name("d")
  batch-lines(4000) batch-bytes(8Mb) batch-timeout(500) workers(4) timeout(60) %s); };
log { source(s); %s destination(d); flags(flow-control); };
`, t.sink, t.index("syslogng"), body, disk, parse)
	return s.String()
}
