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

// rsyslog with its Elasticsearch output. In the fault runs its main queue is a pure disk queue, the safest it has.
func rsyslog(ctx context.Context, b *bench) (shipper, error) {
	root, err := b.debian(ctx, "rsyslog", "rsyslog", "rsyslog-elasticsearch")
	if err != nil {
		return shipper{}, err
	}
	modules, err := folder(root + "/usr/lib/*-linux-gnu/rsyslog")
	if err != nil {
		return shipper{}, err
	}
	return shipper{name: "rsyslog",
		command: func(t task) (*exec.Cmd, error) {
			conf := filepath.Join(t.state, "rsyslog.conf")
			if err := os.WriteFile(filepath.Join(t.state, "auth.rulebase"), []byte(rsyslogRules), 0o644); err != nil {
				return nil, err
			}
			if err := os.WriteFile(conf, []byte(rsyslogConfig(t)), 0o644); err != nil {
				return nil, err
			}
			cmd := exec.Command(root+"/usr/sbin/rsyslogd", "-n", "-f", conf, "-i", filepath.Join(t.state, "pid"), "-M", modules)
			cmd.Env, cmd.Dir = libraries(root), t.state
			return cmd, nil
		},
		restart: func(t task) { os.Remove(filepath.Join(t.state, "pid")) },
	}, nil
}

func rsyslogConfig(t task) string {
	const batch = `queue.dequeuebatchsize="4000" queue.workerthreads="2" queue.workerthreadminimummessages="4000" queue.timeoutenqueue="100000000" queue.timeoutshutdown="5000"`
	main := `queue.type="FixedArray" queue.size="50000" queue.dequeuebatchsize="2000" queue.workerthreads="1" queue.timeoutenqueue="100000000"`
	action := `queue.type="FixedArray" queue.size="100000" ` + batch
	persist := 0
	switch {
	case t.safe: // the main queue itself on disk, the action without one
		main = `queue.type="Disk" queue.filename="mq" queue.maxfilesize="64m" queue.checkpointinterval="1000" queue.syncqueuefiles="off" queue.dequeuebatchsize="4000" queue.workerthreads="1" queue.timeoutenqueue="100000000" queue.timeoutshutdown="5000" queue.maxdiskspace="10g"`
		action, persist = "", 1000
	case t.job.name == "D":
		action = `queue.type="LinkedList" queue.size="100000" queue.highwatermark="20000" queue.lowwatermark="5000" queue.filename="aq" queue.maxfilesize="64m" queue.maxdiskspace="10g" queue.saveonshutdown="on" queue.checkpointinterval="1000" ` + batch
	}
	var s strings.Builder
	fmt.Fprintf(&s, "global(workDirectory=%q maxMessageSize=\"64k\" processInternalMessages=\"on\" net.enableDNS=\"off\")\nmodule(load=\"omelasticsearch\")\n", t.state)
	parse := ""
	switch t.job.config() {
	case "B":
		s.WriteString("module(load=\"mmnormalize\")\n")
		parse = `action(type="mmnormalize" ruleBase="` + t.state + `/auth.rulebase" useRawMsg="off")`
	case "C":
		s.WriteString("module(load=\"mmjsonparse\")\n")
		parse = `action(type="mmjsonparse" cookie="")`
	}
	if t.job.tcp {
		s.WriteString("module(load=\"imptcp\" threads=\"2\")\n")
	} else {
		s.WriteString("module(load=\"imfile\" mode=\"inotify\")\n")
	}
	fmt.Fprintf(&s, "main_queue(%s)\n%s", main, rsyslogTemplate(t.job.config()))
	host, port, _ := net.SplitHostPort(t.sink)
	fmt.Fprintf(&s, "ruleset(name=\"r\") {\n  %s\n  action(type=\"omelasticsearch\" server=%q serverport=%q searchIndex=%q searchType=\"\" bulkmode=\"on\" maxbytes=\"20m\" template=\"doc\" action.resumeRetryCount=\"-1\" action.resumeInterval=\"1\" %s)\n}\n",
		parse, host, port, t.index("rsyslog"), action)
	if t.job.tcp {
		host, port, _ := net.SplitHostPort(t.tcp)
		fmt.Fprintf(&s, "input(type=\"imptcp\" address=%q port=%q ruleset=\"r\" rateLimit.interval=\"0\")\n", host, port)
	} else {
		fmt.Fprintf(&s, "input(type=\"imfile\" file=%q tag=\"auth:\" ruleset=\"r\" freshStartTail=\"off\" maxSubmitAtOnce=\"2048\" reopenOnTruncate=\"off\" persistStateInterval=\"%d\")\n", t.data, persist)
	}
	fmt.Fprintf(&s, "if ($syslogfacility-text == \"syslog\") then { action(type=\"omfile\" file=\"%s/rsyslog.log\") stop }\n", t.state)
	return s.String()
}

func rsyslogTemplate(job string) string {
	const (
		begin = "template(name=\"doc\" type=\"list\") {\n  constant(value=\"{\\\"@timestamp\\\":\\\"\") property(name=\"timereported\" dateFormat=\"rfc3339\")\n"
		end   = "  constant(value=\"\\\",\\\"message\\\":\\\"\") property(name=\"msg\" format=\"json\")\n  constant(value=\"\\\"}\") }\n"
	)
	switch job {
	case "B":
		return "template(name=\"doc\" type=\"list\") { property(name=\"$!\") }\n"
	case "C":
		return "template(name=\"doc\" type=\"list\") { property(name=\"$!all-json\") }\n"
	case "E":
		return begin + `  constant(value="\",\"host\":\"") property(name="hostname" format="json")
  constant(value="\",\"program\":\"") property(name="app-name" format="json")
  constant(value="\",\"pid\":\"") property(name="procid" format="json")
  constant(value="\",\"severity\":\"") property(name="syslogseverity-text")
  constant(value="\",\"facility\":\"") property(name="syslogfacility-text")
` + end
	}
	return begin + end
}

// rsyslogRules is the liblognorm rule base of job B.
const rsyslogRules = `version=2
prefix=%time:date-rfc3164% %host:word% sshd[%pid:number%]: 
rule=:Failed password for invalid user %user:word% from %ip:ipv4% port %port:number% %proto:word%
rule=:Failed password for %user:word% from %ip:ipv4% port %port:number% %proto:word%
rule=:Invalid user %user:word% from %ip:ipv4% port %port:number%
rule=:Disconnected from invalid user %user:word% %ip:ipv4% port %port:number% [preauth]
rule=:Accepted publickey for %user:word% from %ip:ipv4% port %port:number% ssh2: %key:rest%
rule=:Accepted password for %user:word% from %ip:ipv4% port %port:number% ssh2
rule=:Connection closed by authenticating user %user:word% %ip:ipv4% port %port:number% [preauth]
rule=:Received disconnect from %ip:ipv4% port %port:number%:%rest:rest%
rule=:pam_unix(%service:char-to{"extradata":")"}%): %message:rest%
prefix=%time:date-rfc3164% %host:word% sudo: 
rule=:%message:rest%
prefix=%time:date-rfc3164% %host:word% CRON[%pid:number%]: 
rule=:%message:rest%
`
