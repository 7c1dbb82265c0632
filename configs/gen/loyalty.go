package main

import (
	"fmt"
	"time"
)

// loyalty is the activity log of a loyalty platform: rows of its database, as they are exported.
func loyalty() (out []line) {
	type actor struct {
		kind      string
		id        int
		name, ip  string
		userAgent string
	}
	admin := actor{"Admin", 1, "Nadia Berger", "192.0.2.18", agents[1]}
	partners := []actor{{"Partner", 3, "Cafe Linden", "192.0.2.60", agents[0]}, {"Partner", 4, "Bike Atelier", "192.0.2.61", agents[1]}}
	staff := []actor{{"Staff", 11, "Jonas Weiss", "192.0.2.62", agents[0]}, {"Staff", 12, "Lena Vogt", "192.0.2.63", agents[2]}, {"Staff", 13, "Timo Kern", "192.0.2.64", agents[0]}}
	member := func() actor {
		n := 100 + random.IntN(60)
		return actor{"Member", n, fmt.Sprintf("member%03d@example.com", n), fmt.Sprintf("192.0.2.%d", 130+n%120), agents[n%3]}
	}
	n := 0
	row := func(at time.Time, a actor, log, event, description, subject string, subjectID int, subjectName string, old, attributes any) {
		n++
		var causer, causerID, causerName, model, name, number any
		if a.kind != "" {
			causer, causerID, causerName = `App\Models\`+a.kind, a.id, a.name
		}
		if subject != "" {
			model, number = `App\Models\`+subject, subjectID
		}
		if subjectName != "" {
			name = subjectName
		}
		properties := object("old", old, "attributes", attributes)
		out = append(out, line{at, string(object("id", n, "log_name", log, "description", description, "event", event, "subject_type", model, "subject_id", number,
			"subject_name", name, "causer_type", causer, "causer_id", causerID, "causer_name", causerName, "properties", properties, "batch_uuid", nil,
			"created_at", at.Format("2006-01-02T15:04:05.000000Z"), "ip_address", a.ip, "user_agent", a.userAgent))})
	}
	login := func(at time.Time, a actor) {
		row(at, a, "auth", "login", a.name+" logged in", a.kind, a.id, a.name, nil, nil)
	}
	failed := func(at time.Time, email, kind, ip, agent string) {
		row(at, actor{"", 0, "", ip, agent}, "auth", "login_failed", "Failed login attempt for "+email, "", 0, "", nil, object("email", email, "guard", kind))
	}
	for day := range days {
		for _, p := range append(partners, staff...) {
			if weekend(day) && p.kind == "Staff" {
				continue
			}
			at := within(day, 7.5, 10)
			if random.IntN(6) == 0 {
				failed(at.Add(-30*time.Second), fmt.Sprintf("%s%d@example.org", "user", p.id), "partner", p.ip, p.userAgent)
			}
			login(at, p)
			for range 3 + random.IntN(5) {
				at = at.Add(time.Duration(5+random.IntN(40)) * time.Minute)
				m := 100 + random.IntN(60)
				name := fmt.Sprintf("member%03d@example.com", m)
				switch random.IntN(6) {
				case 0:
					row(at, p, "cards", "updated", "Card Gold was updated", "Card", 12, "Gold", object("points_per_euro", 1, "active", true), object("points_per_euro", 2, "active", true))
				case 1:
					row(at, p, "members", "created", "Member "+name+" was created", "Member", m, name, nil, object("email", name, "locale", "de"))
				case 2:
					row(at, p, "rewards", "updated", "Reward Free coffee was updated", "Reward", 31, "Free coffee", object("points", 90), object("points", 80+random.IntN(20)))
				case 3:
					row(at, p, "members", "updated", "Member "+name+" was updated", "Member", m, name, object("phone", "+49 30 1234"), object("phone", "+49 30 5678"))
				default:
					row(at, p, "transactions", "created", fmt.Sprintf("%d points were given to %s", 10+random.IntN(90), name), "Transaction", 9000+n, "", nil, object("points", 10+random.IntN(90), "card_id", 12))
				}
			}
			row(at.Add(time.Hour), p, "auth", "logout", p.name+" logged out", p.kind, p.id, p.name, nil, nil)
		}
		for range 12 + random.IntN(8) {
			m, at := member(), within(day, 8, 22)
			row(at, m, "auth", "otp_requested", "One-time code requested by "+m.name, "Member", m.id, m.name, nil, nil)
			if random.IntN(8) == 0 {
				row(at.Add(20*time.Second), m, "auth", "otp_failed", "One-time code of "+m.name+" was wrong", "Member", m.id, m.name, nil, nil)
			}
			row(at.Add(40*time.Second), m, "auth", "otp_verified", "One-time code of "+m.name+" was verified", "Member", m.id, m.name, nil, nil)
			login(at.Add(41*time.Second), m)
			if random.IntN(4) == 0 {
				row(at.Add(4*time.Minute), m, "rewards", "redeemed", m.name+" redeemed Free coffee", "Reward", 31, "Free coffee", nil, object("points", 90))
			}
		}
		if day%3 == 0 {
			at := within(day, 9, 16)
			login(at, admin)
			row(at.Add(5*time.Minute), admin, "partners", "updated", "Partner Bike Atelier was updated", "Partner", 4, "Bike Atelier", object("plan", "basic"), object("plan", "plus"))
			row(at.Add(9*time.Minute), admin, "auth", "logout", admin.name+" logged out", "Admin", 1, admin.name, nil, nil)
		}
	}
	// Somebody guesses an administrator's password, in vain.
	at := first.AddDate(0, 0, 6).Add(1*time.Hour + 12*time.Minute)
	for i := range 26 {
		failed(at.Add(time.Duration(i*11)*time.Second), "nadia.berger@example.org", "admin", "203.0.113.140", "python-requests/2.32")
	}
	// An account of the staff is taken over by night, and deletes.
	thief := actor{"Staff", 12, "Lena Vogt", "203.0.113.215", agents[0]}
	at = first.AddDate(0, 0, 11).Add(2*time.Hour + 5*time.Minute)
	for i := range 4 {
		failed(at.Add(time.Duration(i*20-120)*time.Second), "lena.vogt@example.org", "partner", thief.ip, thief.userAgent)
	}
	login(at, thief)
	for i := range 34 {
		m := 100 + i
		name := fmt.Sprintf("member%03d@example.com", m)
		row(at.Add(time.Duration(60+i*4)*time.Second), thief, "members", "deleted", "Member "+name+" was deleted", "Member", m, name, object("email", name), nil)
	}
	row(at.Add(5*time.Minute), thief, "rewards", "deleted", "Reward Free coffee was deleted", "Reward", 31, "Free coffee", object("name", "Free coffee", "points", 90), nil)
	row(at.Add(6*time.Minute), thief, "cards", "deleted", "Card Gold was deleted", "Card", 12, "Gold", object("name", "Gold"), nil)
	return out
}
