package simulate

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gatebook/gatebook/event"
)

// person is somebody who works there.
type person struct {
	number      int
	random      *rand.Rand // of this one alone, so that what others do changes nothing
	name, email string
	id          string // in the sources that know people by number
	full        string
	office      *site
	home        *site
	homeNet     *network
	computer    device
	phone       device
	uses        uses
	admin       bool
	late        time.Duration // begins so much later than others
	dayAtHome   int           // weekdays on which the person stays at home: bits
	clumsy      float64       // how often a password is mistyped
	first, last int           // days of employment
	away        map[int]*site // by day: a journey
	flies       map[int]bool  // days on which the person is in an aeroplane at noon
	landed      time.Time     // from the latest flight
	ill         int           // no work before this day
	fingers     int           // days since the password changed, while fingers still know the old one
}

// uses tells the sources beside the single sign-on that a person has an account of.
type uses struct{ portal, shop, machines, tools, intranet bool }

type device struct{ name, system, original string }

// site is a place, with the zone in which people there work.
type site struct {
	city, country, region string
	lat, lon              float64
	hours                 time.Duration // of the zone, against UTC
	office, guests        string        // addresses of the company's office and of hotels, the last part left out
	network               network
}

type network struct {
	number int64
	owner  string
}

var (
	berlin  = &site{city: "Berlin", country: "DE", region: "DE-BE", lat: 52.52, lon: 13.40, hours: time.Hour, office: "192.0.2.1", guests: "198.51.100.1", network: network{64500, "Example AG"}}
	newYork = &site{city: "New York", country: "US", region: "US-NY", lat: 40.71, lon: -74.01, hours: -5 * time.Hour, office: "192.0.2.2", guests: "198.51.100.2", network: network{64501, "Example Inc"}}
	lisbon  = &site{city: "Lisbon", country: "PT", region: "PT-11", lat: 38.72, lon: -9.14, guests: "198.51.100.5", network: network{64510, "Hotel Lisboa"}}
	tokyo   = &site{city: "Tokyo", country: "JP", region: "JP-13", lat: 35.68, lon: 139.69, hours: 9 * time.Hour, guests: "198.51.100.6", network: network{64511, "Example Stay"}}
	nairobi = &site{city: "Nairobi", country: "KE", region: "KE-30", lat: -1.29, lon: 36.82, hours: 3 * time.Hour, guests: "198.51.100.7", network: network{64512, "Example Lodge"}}
	toronto = &site{city: "Toronto", country: "CA", region: "CA-ON", lat: 43.65, lon: -79.38, hours: -5 * time.Hour, guests: "198.51.100.8", network: network{64513, "Example Inn"}}
	abroad  = []*site{lisbon, tokyo, nairobi, toronto}

	providers = map[*site][]network{
		berlin:  {{64520, "Spree Net"}, {64521, "Kabel Example"}, {64522, "DSL Example"}},
		newYork: {{64530, "Hudson Cable"}, {64531, "Example Fiber"}},
	}
	carriers = map[*site]network{berlin: {64540, "Mobil Example"}, newYork: {64541, "Example Wireless"}}

	computers = []device{
		{"Chrome", "Windows", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"},
		{"Chrome", "Windows", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"},
		{"Edge", "Windows", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0"},
		{"Firefox", "Windows", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0"},
		{"Safari", "Mac OS X", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15"},
		{"Chrome", "Mac OS X", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"},
		{"Firefox", "Linux", "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"},
	}
	phones = []device{
		{"Mobile Safari", "iOS", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"},
		{"Chrome Mobile", "Android", "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36"},
	}

	firstNames = []string{"ada", "bela", "carla", "dmitri", "emma", "farid", "greta", "hugo", "ines", "jonas", "kaya", "lena", "milan", "nora", "olga", "paul", "quinn", "rosa", "sven", "tara", "uwe", "vera", "wim", "yara", "zoe"}
	lastNames  = []string{"adler", "berg", "costa", "dahl", "engel", "falk", "gruber", "haas", "ito", "jung", "kern", "lang", "meyer", "novak", "otto", "petri", "rossi", "stein", "thoma", "vogel"}
)

func (p *person) chance(percent float64) bool { return p.random.Float64()*100 < percent }

func (p *person) minutes(from, to int) time.Duration {
	return time.Duration(p.random.Int64N(int64(time.Duration(to-from)*time.Minute))) + time.Duration(from)*time.Minute
}

func (c *Company) hire(i int, seed uint64) *person {
	p := &person{number: i, random: rand.New(rand.NewPCG(seed, uint64(i)+1000)), away: map[int]*site{}, flies: map[int]bool{}, last: c.options.Days + 1, fingers: 1000}
	first, last := firstNames[i%len(firstNames)], lastNames[i/len(firstNames)%len(lastNames)]
	p.name = first + "." + last
	if round := i / (len(firstNames) * len(lastNames)); round > 0 {
		p.name = fmt.Sprintf("%s%d", p.name, round+1)
	}
	p.email, p.id, p.full = p.name+"@example.com", fmt.Sprint(10000+i), first+" "+last
	for _, account := range []string{p.name, p.email, p.id} {
		c.names[account] = p.name
	}
	p.office = berlin
	if i%3 == 2 {
		p.office = newYork
	}
	p.home = p.office
	p.homeNet = &providers[p.home][p.random.IntN(len(providers[p.home]))]
	p.computer, p.phone = computers[p.random.IntN(len(computers))], phones[p.random.IntN(len(phones))]
	p.late = time.Duration(p.random.NormFloat64()*float64(35*time.Minute)) + time.Hour
	p.dayAtHome = 1 << (1 + p.random.IntN(5))
	if p.chance(30) {
		p.dayAtHome |= 1 << (1 + p.random.IntN(5))
	}
	p.clumsy = 2 + p.random.ExpFloat64()*4
	p.uses = uses{portal: i%8 == 1, shop: i%5 == 3, machines: i%6 == 4, tools: i%6 == 4 || i%6 == 0, intranet: i%2 == 0}
	c.plan(p)
	return p
}

// plan settles what comes over the whole time: being hired and leaving, journeys, the conference.
func (c *Company) plan(p *person) {
	days := c.options.Days
	switch {
	case p.number > 20 && p.chance(float64(days)/30*0.8): // four or so a month
		p.first = p.random.IntN(days)
	case p.number > 20 && p.chance(float64(days)/30*0.8):
		p.last = p.random.IntN(days)
	}
	travel := func(to *site, first, nights int) {
		for d := first; d <= first+nights; d++ {
			p.away[d] = to
		}
		p.flies[first], p.flies[first+nights+1] = true, true
	}
	if conference := days - 13; p.chance(3) && conference > 0 { // a Wednesday, where the start is a Monday
		travel(lisbon, conference, 3)
		return
	}
	for month := 0; month+1 < days/30+1; month++ {
		if p.chance(3) {
			travel(abroad[p.random.IntN(len(abroad))], month*30+p.random.IntN(24), 1+p.random.IntN(4))
		}
	}
}

// appoint chooses the administrators and who keeps the records.
func (c *Company) appoint() {
	for _, p := range c.people {
		if p.office == berlin && p.uses.machines && len(c.admins) < max(2, len(c.people)/60) {
			p.admin, p.first, p.last = true, 0, c.options.Days+1
			c.admins = append(c.admins, p)
		}
		if p.office == berlin && p.uses.shop && !p.admin && c.manager == nil {
			p.first, p.last, c.manager = 0, c.options.Days+1, p
		}
	}
}

// Admins names the administrators, as a site would in its list "admins": by each name that sources know them by.
func (c *Company) Admins() []string {
	var names []string
	for _, p := range c.admins {
		names = append(names, p.name, p.email)
	}
	return names
}

// ServiceAccounts names the accounts of programs.
func (c *Company) ServiceAccounts() []string { return []string{"deploy", "backup", "ci"} }

// Offices are the networks of the company.
func (c *Company) Offices() []string { return []string{"192.0.2.0/27"} }

// spot is where somebody is at a time, by which address and device.
type spot struct {
	*site
	ip       string
	network  network
	accuracy int64
	device   device
}

// at the office all share a few addresses.
func (p *person) inOffice() spot {
	return spot{p.office, p.office.office + fmt.Sprint(p.number%2), p.office.network, 5, p.computer}
}

// at home the address is IPv6 and changes each week, or is shared with others of the provider and changes each month.
func (p *person) atHome(day int) spot {
	s := spot{p.home, "", *p.homeNet, 20, p.computer}
	if p.number%10 < 7 {
		s.ip = fmt.Sprintf("2001:db8:%x:%x::%x", p.homeNet.number-64000, p.number+1, 0x1000+day/7)
	} else {
		s.ip = fmt.Sprintf("198.51.100.%d", 100+(p.number*7+day/30*31)%150)
	}
	return s
}

// on the way the phone has any address of its carrier, whose place is that of the carrier.
func (p *person) underway() spot {
	s := spot{p.home, "", carriers[p.home], 100, p.phone}
	s.ip = fmt.Sprintf("203.0.113.%d", p.random.IntN(120)+1)
	if p.home == newYork {
		s.ip = fmt.Sprintf("203.0.113.%d", p.random.IntN(120)+130)
	}
	return s
}

func (p *person) abroad(to *site) spot {
	return spot{to, to.guests + fmt.Sprint(p.number%4), to.network, 20, p.computer}
}

// from fills where an event came from.
func (s spot) from(ev *event.Event) *event.Event {
	ev.Source.IP = s.ip
	g := &ev.Source.Geo
	g.CityName, g.CountryISO, g.RegionISO = s.city, s.country, s.region
	g.Location = event.GeoPoint{Lat: s.lat, Lon: s.lon, Valid: true}
	ev.Accuracy = event.LongOf(s.accuracy)
	ev.Source.AS = event.AS{Number: event.LongOf(s.network.number), Organization: s.network.owner}
	ev.UserAgent.Original, ev.UserAgent.Name, ev.UserAgent.OSName = s.device.original, s.device.name, s.device.system
	return ev
}
