// Command gen writes the sample logs: two weeks of an invented small company, on documentation networks, with the attacks in
// them that a gate keeper wants to see. The same program gives the same files. It runs in the folder configs.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"
)

var (
	random *rand.Rand
	first  = time.Date(2026, 11, 9, 0, 0, 0, 0, time.UTC) // a Monday
)

const days = 14

type line struct {
	at   time.Time
	text string
}

type person struct{ name, ip, home string }

// Everyone works from Berlin and has an address at home.
var people = []person{
	{"alice", "192.0.2.14", "192.0.2.140"}, {"bob", "192.0.2.15", "192.0.2.141"}, {"carol", "192.0.2.16", "192.0.2.150"},
	{"dmitri", "192.0.2.17", "192.0.2.161"}, {"maria", "192.0.2.18", "2001:db8::18"}, {"ops", "192.0.2.20", "192.0.2.170"},
}

var hosts = []string{"web01", "web02", "db01", "bastion"}

func main() {
	for _, sample := range []struct {
		name  string
		lines func() []line
	}{
		{"auth.log", auth},
		{"payment_portal.csv", portal},
		{"activity_log.json", loyalty},
		{"user_activity.log", accounts},
		{"auth_service.json", authService},
		{"keycloak.log", keycloak},
		{"auth0.json", auth0},
		{"okta.json", okta},
		{"nginx_access.log", nginxAccess},
		{"apache_error.log", apacheError},
	} {
		random = rand.New(rand.NewPCG(20261122, 7)) // each file by itself: a change in one leaves the others as they are
		write("samples/"+sample.name, sample.lines())
	}
}

func write(name string, lines []line) {
	slices.SortStableFunc(lines, func(a, b line) int { return a.at.Compare(b.at) })
	var b strings.Builder
	if strings.HasSuffix(name, ".csv") {
		b.WriteString("time,user,entry,status,ip,company,session,user_agent,logout_time,details\n")
	}
	for _, l := range lines {
		b.WriteString(l.text + "\n")
	}
	if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func pick[T any](list ...T) T { return list[random.IntN(len(list))] }

// within is a time of a day between two hours.
func within(day int, from, to float64) time.Time {
	return first.AddDate(0, 0, day).Add(time.Duration((from + random.Float64()*(to-from)) * float64(time.Hour))).Truncate(time.Second)
}

// weekend says whether a day is none of work.
func weekend(day int) bool {
	d := first.AddDate(0, 0, day).Weekday()
	return d == time.Saturday || d == time.Sunday
}

// object is a JSON object with its members in the order given: key, value, key, value. A nil value is left out.
func object(pairs ...any) json.RawMessage {
	b := []byte{'{'}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == nil {
			continue
		}
		key, _ := json.Marshal(pairs[i])
		value, err := json.Marshal(pairs[i+1])
		if err != nil {
			panic(err)
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, key...), ':'), value...)
	}
	return append(b, '}')
}

// id is an identifier of the usual shape.
func id() string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", random.Uint32(), random.IntN(1<<16), random.IntN(1<<12), random.IntN(1<<12), random.Int64N(1<<48))
}

func port() int { return 32768 + random.IntN(28000) }
