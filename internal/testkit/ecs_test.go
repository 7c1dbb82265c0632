package testkit

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const goodHead = `"@timestamp":"2026-11-22T10:15:32.000Z","ecs":{"version":"8.17.0"}`

func TestECSGood(t *testing.T) {
	s := ECS(t)
	for _, doc := range []string{
		`{` + goodHead + `}`,
		`{` + goodHead + `,"event":{"kind":"event","category":["authentication"],"type":["start"],"action":"login","outcome":"failure","duration":5,"dataset":"gatebook.linux.auth","original":"x"},
		  "data_stream":{"type":"logs","dataset":"gatebook.linux.auth","namespace":"default"},"message":"m","tags":["a"],
		  "source":{"ip":"2001:db8::1","port":22,"geo":{"location":{"lat":52.5,"lon":13.4},"country_iso_code":"DE"},"as":{"number":64496,"organization":{"name":"x"}}},
		  "user":{"name":"root","roles":["a"],"target":{"name":"b"},"effective":{"name":"c"},"changes":{"name":"d"}},
		  "related":{"ip":["192.0.2.1"],"user":["root"],"hosts":["h"]},"log":{"offset":0,"file":{"path":"/var/log/auth.log"},"syslog":{"priority":86,"facility":{"code":10}}},
		  "labels":{"a":"b","n":"1"},"gatebook":{"count":2,"old":{"x":{"y":[1]}}},"process":{"pid":1,"name":"sshd"}}`,
		`{` + goodHead + `,"event.category":["authentication","session"],"event.type":["start"]}`,
		`{` + goodHead + `,"source.geo.location":[13.4,52.5]}`,
		`{` + goodHead + `,"threat":{"technique":{"id":["T1110"]}},"email":{"attachments":[{"file":{"name":"a"}},{"file":{"name":"b"}}]}}`,
	} {
		if errs := s.Validate([]byte(doc)); len(errs) != 0 {
			t.Errorf("%s\nhas errors: %s", doc, strings.Join(errs, "\n"))
		}
	}
	if errs := s.Validate([]byte(`{`+goodHead+`,"okta":{"x":1}}`), "okta"); len(errs) != 0 {
		t.Errorf("own namespace: %v", errs)
	}
}

func TestECSBad(t *testing.T) {
	s := ECS(t)
	f := func(rest, want string) {
		t.Helper()
		errs := s.Validate([]byte(`{` + goodHead + `,` + rest + `}`))
		if !slices.Contains(errs, want) || len(errs) != 1 {
			t.Errorf("%s\nerrors %q\nwant   %q", rest, errs, want)
		}
	}
	f(`"nonsense":1`, "nonsense: not in ECS")
	f(`"event":{"nonsense":1}`, "event.nonsense: not in ECS")
	f(`"event":"x"`, "event: is an object in ECS, not a string")
	f(`"event":{}`, "event: empty object")
	f(`"event":{"category":"authentication"}`, "event.category: must be an array")
	f(`"user":{"name":["a"]}`, "user.name: must not be an array")
	f(`"user":{"name":1}`, "user.name: must be keyword, not a number")
	f(`"user":{"name":null}`, "user.name: must be keyword, not null")
	f(`"user":{"name":"a","name":"b"},"tags":["a"]`, "user.name: occurs twice")
	f(`"user.id":"1","user":{"id":"b"}`, "user.id: occurs twice")
	f(`"source":{"port":"22"}`, "source.port: must be long, not a string")
	f(`"source":{"port":22.5}`, "source.port: must be long, not 22.5")
	f(`"source":{"ip":"host"}`, `source.ip: must be ip, not a string "host"`)
	f(`"source":{"geo":{"location":{"lat":91,"lon":0}}}`, `source.geo.location: must be geo_point, not lat "91" lon "0"`)
	f(`"event":{"created":"Nov 22 10:00:00"}`, `event.created: must be date (RFC 3339), not "Nov 22 10:00:00"`)
	f(`"event":{"created":1}`, "event.created: must be date, not a number")
	f(`"event":{"outcome":"ok"}`, `event.outcome: "ok" is not an allowed value`)
	f(`"event":{"kind":"alarm"}`, `event.kind: "alarm" is not an allowed value`)
	f(`"labels":{"a":{"b":1}}`, "labels.a: must be a plain value, not an object")
	f(`"labels":[1]`, "labels: must be an object, not an array")
	f(`"gatebook":{"x":null}`, "gatebook.x: null")
	f(`"data_stream":{"dataset":"a-b"}`, `data_stream.dataset: "a-b" cannot be part of a data stream's name`)
	f(`"data_stream":{"dataset":"a"},"event":{"dataset":"b"}`, `event.dataset: "b" is not data_stream.dataset "a"`)
	f(`"host":{"mac":["0a-00"]}`, `host.mac: "0a-00" does not match ^[A-F0-9]{2}(-[A-F0-9]{2}){5,}$`)
	f(`"email":{"attachments":{"file":{"name":"a"}}}`, "email.attachments: must be an array")
	f(`"process":{"interactive":"yes"}`, "process.interactive: must be boolean, not a string")
	f(`"event":{"risk_score":"1"}`, "event.risk_score: must be float, not a string")
}

func TestECSEventTypes(t *testing.T) {
	s := ECS(t)
	f := func(categories, types, want string) {
		t.Helper()
		errs := s.Validate(fmt.Appendf(nil, `{%s,"event":{"category":[%s],"type":[%s]}}`, goodHead, categories, types))
		if got := strings.Join(errs, "\n"); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("category %s type %s: errors %q, want %q", categories, types, got, want)
		}
	}
	f(`"authentication"`, `"start"`, "")
	f(`"iam"`, `"user","change"`, "")
	f(`"authentication"`, `"user"`, `event.type "user" is not expected by event.category authentication`)
	f(`"authentication"`, `"start","user"`, `event.type "user" is not expected`)
	f(`"iam","library"`, `"user"`, `event.category "library" expects event.type start, not user`)
	f(`"nonsense"`, `"start"`, `event.category: "nonsense" is not an allowed value`)
}

func TestECSDocument(t *testing.T) {
	s := ECS(t)
	f := func(doc, want string) {
		t.Helper()
		if errs := s.Validate([]byte(doc)); !strings.Contains(strings.Join(errs, "\n"), want) || len(errs) == 0 {
			t.Errorf("%q: errors %q, want %q", doc, errs, want)
		}
	}
	f(``, "document is not JSON")
	f(`{`, "document is not JSON")
	f(`[]`, "document is not an object")
	f(`{`+goodHead+`} {}`, "document is followed by something")
	f(`{`+goodHead+`,"message":"`+"\xff"+`"}`, "document is not valid UTF-8")
	f(`{"@timestamp":"2026-11-22T10:15:32Z"}`, "ecs.version: required, absent")
	f(`{"ecs":{"version":"8.17.0"}}`, "@timestamp: required, absent")
}
