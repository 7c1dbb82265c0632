package main

import (
	"fmt"
	"time"
)

var agents = []string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
}

// portal is the login activity of a payment portal.
func portal() (out []line) {
	session := 5000
	row := func(at time.Time, user string, entry, status int, ip, company, id, agent string, logout time.Time, details string) {
		end := ""
		if !logout.IsZero() {
			end = logout.Format(time.RFC3339)
		}
		out = append(out, line{at, fmt.Sprintf("%s,%s,%d,%d,%s,%s,%s,%q,%s,%s", at.Format(time.RFC3339), user, entry, status, ip, company, id, agent, end, details)})
	}
	clerks := []struct{ user, company, ip, agent string }{
		{"jlopez", "Harbour Books", "198.51.100.10", agents[0]}, {"mchan", "Harbour Books", "198.51.100.11", agents[1]},
		{"rsingh", "Alpine Bikes", "192.0.2.200", agents[0]}, {"tokafor", "Savanna Tours", "198.51.100.70", agents[2]},
		{"kmori", "Osaka Tea", "198.51.100.150", agents[1]}, {"batch", "Alpine Bikes", "192.0.2.201", "gateway-sdk/4.2"},
	}
	for day := range 14 {
		date := first.AddDate(0, 0, day)
		for _, c := range clerks {
			at := date.Add(7*time.Hour + time.Duration(random.IntN(8*3600))*time.Second)
			session++
			id := fmt.Sprintf("S%d", session)
			if c.user == "batch" {
				row(at, c.user, 3, 2, c.ip, c.company, id, c.agent, at.Add(3*time.Minute), "orders.csv")
				row(at.Add(time.Hour), c.user, 4, 2, c.ip, c.company, id, c.agent, time.Time{}, "")
				continue
			}
			entry := pick(1, 1, 1, 7)
			if random.IntN(5) == 0 {
				row(at.Add(-time.Minute), c.user, entry, 5, c.ip, c.company, "", c.agent, time.Time{}, "")
			}
			row(at.Add(-20*time.Second), c.user, entry, 25, c.ip, c.company, "", c.agent, time.Time{}, "")
			row(at, c.user, entry, 21, c.ip, c.company, id, c.agent, time.Time{}, "")
			if random.IntN(3) == 0 {
				row(at.Add(10*time.Minute), c.user, 2, 2, c.ip, c.company, id, c.agent, time.Time{}, "settlement-report")
			}
			end := at.Add(time.Duration(20+random.IntN(200)) * time.Minute)
			row(at, c.user, entry, pick(2, 2, 2, 6), c.ip, c.company, id, c.agent, end, "")
		}
	}
	// Stuffing from one address; one account gives in, its second factor is switched off.
	at := first.AddDate(0, 0, 10).Add(3 * time.Hour)
	for i := range 40 {
		row(at.Add(time.Duration(i*9)*time.Second), fmt.Sprintf("user%02d", i), 1, pick(5, 5, 13), "203.0.113.201", "Harbour Books", "", "python-requests/2.32", time.Time{}, "")
	}
	at = at.Add(7 * time.Minute)
	row(at, "mchan", 8, 15, "203.0.113.201", "Harbour Books", "", "python-requests/2.32", time.Time{}, "")
	row(at.Add(time.Minute), "mchan", 1, 21, "203.0.113.201", "Harbour Books", "S9001", "python-requests/2.32", time.Time{}, "")
	row(at.Add(2*time.Minute), "mchan", 1, 16, "203.0.113.201", "Harbour Books", "S9001", "python-requests/2.32", time.Time{}, "")
	row(at.Add(3*time.Minute), "mchan", 2, 2, "203.0.113.201", "Harbour Books", "S9001", "python-requests/2.32", time.Time{}, "card-report")
	for i := range 6 {
		row(at.Add(time.Duration(60+i*2)*time.Minute), "rsingh", 1, pick(22, 23, 24), "198.51.100.90", "Alpine Bikes", "", agents[0], time.Time{}, "")
	}
	row(at.Add(80*time.Minute), "rsingh", 1, 20, "198.51.100.90", "Alpine Bikes", "", agents[0], time.Time{}, "")
	row(at.Add(26*time.Hour), "tokafor", 1, 7, "198.51.100.70", "Savanna Tours", "S9002", agents[2], at.Add(27*time.Hour), "")
	row(at.Add(26*time.Hour), "tokafor", 1, 8, "203.0.113.20", "Savanna Tours", "S9003", agents[0], time.Time{}, "")
	for i, status := range []int{3, 9, 10, 11, 12, 14, 17, 18, 19, 26} {
		row(at.Add(time.Duration(30+i)*time.Hour), pick("kmori", "jlopez"), 1, status, "198.51.100.150", "Osaka Tea", "", agents[1], time.Time{}, "")
	}
	return out
}
