# Successful logins that do not look like the user. All of these learn first: 14 days and some events of the key.

rule "auth.new_device" {
  title           = "New device of ${key}"
  description     = "A user logs in with a browser and operating system that the account was not seen with in 90 days, or the application itself says that the device is new."
  severity        = "low"
  attack          = ["T1078"]
  tags            = ["login", "device"]
  false_positives = ["a new laptop or phone", "another browser"]
  runbook         = "Harmless alone. Together with a new country, a password reset or failures before it: call the user."
  when            = ok && interactive
  by              = [[gatebook.user.key]]
  fire            = labels.new_device == "true" || first_seen([user_agent.name, user_agent.os.name], "90d")
  quiet           = "24h"

  test "a second browser after three weeks" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "user_agent.name" = "Safari", "user_agent.os.name" = "macOS" })],
      [event("+504h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "user_agent.name" = "Firefox", "user_agent.os.name" = "Linux" })],
    )
    expect = [{ at = "+504h", key = ["bob"] }]
  }
  test "the application says so" {
    parser = "user_activity"
    log    = "timestamp=2026-01-12T10:00:00Z event=login.success user=bob ip=203.0.113.9 device=dev-9 new_device=true user_agent=\"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\""
    expect = [{ at = "+0s", key = ["bob"] }]
  }
  test "an update of the browser" {
    events = [for i in range(30) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "user_agent.name" = "Safari", "user_agent.version" = "17.${i}", "user_agent.os.name" = "macOS" })]
    expect = []
  }
  test "the first week of an account" {
    events = [for i in range(6) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "user_agent.name" = "B${i}", "user_agent.os.name" = "macOS" })]
    expect = []
  }
}

rule "auth.unusual_user_agent" {
  title           = "Login of ${key} with a client that hardly anybody uses"
  description     = "A login with a client that makes less than one in a thousand logins of this source."
  severity        = "low"
  shadow_for      = "14d"
  attack          = ["T1078"]
  tags            = ["login", "device"]
  false_positives = ["an enthusiast's browser", "a browser that was just released"]
  runbook         = "Look at user_agent.original: a program, an emulator, or the browser of somebody else's country? Ask the user."
  when            = ok && interactive
  by              = [[event.dataset]]
  fire            = rarity(user_agent.name, "60d") < 0.001
  quiet           = "24h"
  learn {
    for        = "14d"
    min_events = 500
  }

  test "one in a thousand" {
    events = concat(
      [for i in range(1000) : event("+${i * 30}m", { "event.action" = "login", "event.outcome" = "success", "event.dataset" = "auth_service.event", "user.name" = "u${i % 50}", "user_agent.name" = "Chrome" })],
      [event("+501h", { "event.action" = "login", "event.outcome" = "success", "event.dataset" = "auth_service.event", "user.name" = "u7", "user_agent.name" = "Konqueror" })],
    )
    expect = [{ at = "+501h", key = ["gatebook.auth_service.event"] }]
  }
  test "one in ten" {
    events = [for i in range(1000) : event("+${i * 30}m", { "event.action" = "login", "event.outcome" = "success", "event.dataset" = "auth_service.event", "user.name" = "u${i % 50}", "user_agent.name" = i % 10 == 0 ? "Firefox" : "Chrome" })]
    expect = []
  }
}

rule "auth.script_client" {
  title           = "${key} logs in with a program in place of a browser"
  description     = "A person's account logs in with curl, a script or an attack tool, and never did in 90 days."
  severity        = "medium"
  shadow_for      = "14d"
  attack          = ["T1078", "T1059"]
  tags            = ["login", "device"]
  false_positives = ["a developer who tries the interface by hand"]
  runbook         = "Ask the user. Where it was a job, give it an account of its own and put that into the list service_accounts."
  when            = ok && interactive
  by              = [[gatebook.user.key]]
  fire            = contains(list.script_clients, user_agent.original) && first_seen(user_agent.name, "90d")
  quiet           = "24h"

  test "curl after weeks of a browser" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "user_agent.original" = "Mozilla/5.0 Firefox/128.0", "user_agent.name" = "Firefox" })],
      [event("+504h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "user_agent.original" = "curl/8.9.1", "user_agent.name" = "curl" })],
    )
    expect = [{ at = "+504h", key = ["bob"] }]
  }
  test "a developer who always does" {
    events = [for i in range(30) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "user_agent.original" = i % 2 == 0 ? "curl/8.9.1" : "Mozilla/5.0 Firefox/128.0", "user_agent.name" = i % 2 == 0 ? "curl" : "Firefox" })]
    expect = []
  }
}

# --- places ---

rule "auth.new_country" {
  title           = "${key} logs in from a new country"
  description     = "A user logs in from a country that the account was not seen in for 90 days."
  severity        = "low"
  attack          = ["T1078"]
  tags            = ["login", "place"]
  false_positives = ["a journey", "a VPN with an exit abroad (list vpn_asn)"]
  runbook         = "Harmless alone: most of them are journeys. With a new device it is auth.new_country_and_device. Ask the user whether they travel; if not, end the sessions and reset the password."
  when            = ok && !contains(list.vpn_asn, source.as.number) && !contains(list.office_networks, source.ip)
  by              = [[gatebook.user.key]]
  fire            = first_seen(source.geo.country_iso_code, "90d")
  quiet           = "24h"

  test "second country" {
    events = concat(
      [for i in range(20) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "SE" })],
      [event("+480h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "BR" })],
    )
    expect = [{ at = "+480h", key = ["bob"] }]
  }
  test "who commutes between two" {
    events = [for i in range(40) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = i % 7 < 2 ? "DK" : "SE" })]
    expect = []
  }
  test "failures from anywhere" {
    events = concat(
      [for i in range(20) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "SE" })],
      [event("+480h", { "event.action" = "login", "event.outcome" = "failure", "user.name" = "bob", "source.geo.country_iso_code" = "BR" })],
    )
    expect = []
  }
}

rule "auth.new_country_and_device" {
  title           = "${key} logs in from a new country with a new device"
  description     = "A user logs in from a country and with a browser and operating system that the account was both not seen with in 90 days: who travels takes the laptop along."
  severity        = "medium"
  attack          = ["T1078"]
  tags            = ["login", "place", "device"]
  false_positives = ["a phone that is first used on a journey"]
  runbook         = "Ask the user over another channel. If it was not them: end the sessions, reset the password, look at what was done since."
  when            = ok && interactive && !contains(list.vpn_asn, source.as.number) && !contains(list.office_networks, source.ip)
  by              = [[gatebook.user.key]]
  fire            = first_seen(source.geo.country_iso_code, "90d") && first_seen([user_agent.name, user_agent.os.name], "90d")
  quiet           = "24h"

  test "both new" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "SE", "user_agent.name" = "Safari", "user_agent.os.name" = "macOS" })],
      [event("+504h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "BR", "user_agent.name" = "Chrome", "user_agent.os.name" = "Windows" })],
    )
    expect = [{ at = "+504h", key = ["bob"] }]
  }
  test "a journey with the laptop, and a new phone at home" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "SE", "user_agent.name" = "Safari", "user_agent.os.name" = "macOS" })],
      [
        event("+504h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "BR", "user_agent.name" = "Safari", "user_agent.os.name" = "macOS" }),
        event("+700h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "SE", "user_agent.name" = "Chrome", "user_agent.os.name" = "Android" }),
      ],
    )
    expect = []
  }
}

rule "auth.new_network" {
  title           = "${key} logs in from a new network"
  description     = "A user logs in from an autonomous system (internet provider, hosting company) that the account was not seen in for 90 days, in a country where it was: a new country is auth.new_country."
  severity        = "low"
  shadow_for      = "14d"
  attack          = ["T1078"]
  tags            = ["login", "place"]
  false_positives = ["hotels, trains, a new mobile contract"]
  runbook         = "A hosting company is worth a question, a mobile operator hardly."
  when            = ok && !contains(list.vpn_asn, source.as.number) && !contains(list.office_networks, source.ip)
  by              = [[gatebook.user.key]]
  fire            = first_seen(source.as.number, "90d") && !first_seen(source.geo.country_iso_code, "90d")
  quiet           = "24h"

  test "a hosting company after three weeks at home" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.as.number" = 64496 })],
      [event("+504h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.as.number" = 64502 })],
    )
    expect = [{ at = "+504h", key = ["bob"] }]
  }
  test "abroad" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.as.number" = 64496, "source.geo.country_iso_code" = "SE" })],
      [event("+504h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.as.number" = 64502, "source.geo.country_iso_code" = "BR" })],
    )
    expect = []
  }
  test "home and office" {
    events = [for i in range(40) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.as.number" = i % 2 == 0 ? 64496 : 64497 })]
    expect = []
  }
}

rule "auth.unusual_location" {
  title           = "${key} logs in from an unusual place"
  description     = "A user logs in from a region that the account was not seen in for 90 days and that is more than 500 km from the login before, in a country where it was: a new country is auth.new_country."
  severity        = "low"
  shadow_for      = "14d"
  attack          = ["T1078"]
  tags            = ["login", "place"]
  false_positives = ["a journey", "mobile networks whose addresses are placed at the operator's seat"]
  runbook         = "Ask the user. See also auth.new_country and auth.new_device for the same user."
  when            = ok && !contains(list.vpn_asn, source.as.number) && !contains(list.office_networks, source.ip)
  by              = [[gatebook.user.key]]
  fire            = first_seen([source.geo.country_iso_code, source.geo.region_iso_code], "90d") && gap_km(prev) > 500 && !first_seen(source.geo.country_iso_code, "90d")
  quiet           = "24h"

  test "the other end of the country" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "US", "source.geo.region_iso_code" = "US-NY", "source.geo.location" = "40.7,-74.0" })],
      [event("+504h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "US", "source.geo.region_iso_code" = "US-CA", "source.geo.location" = "34.05,-118.24" })],
    )
    expect = [{ at = "+504h", key = ["bob"] }]
  }
  test "the next state" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "US", "source.geo.region_iso_code" = "US-NY", "source.geo.location" = "40.7,-74.0" })],
      [event("+504h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "US", "source.geo.region_iso_code" = "US-NJ", "source.geo.location" = "40.2,-74.7" })],
    )
    expect = []
  }
}

rule "auth.failures_unknown_place" {
  title           = "${count(failed)} failed logins of ${key} from a country where the user never was"
  description     = "Three failed logins of a user within an hour from a country that the account was not seen in for 90 days."
  severity        = "low"
  attack          = ["T1110.001"]
  tags            = ["login", "failures", "place"]
  false_positives = ["a journey that begins with a forgotten password"]
  runbook         = "Somebody tries a name that they know. See that a second factor is on; nothing else while all of them fail."
  when            = ok || failed
  by              = [[gatebook.user.key]]
  window          = "1h"
  fire            = event.outcome == "failure" && count(failed) >= 3 && first_seen(source.geo.country_iso_code, "90d")
  quiet           = "24h"

  test "three from afar after weeks at home" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "SE" })],
      [for i in range(3) : event("+${504 * 60 + i}m", { "event.action" = "login", "event.outcome" = "failure", "user.name" = "bob", "source.geo.country_iso_code" = "BR" })],
    )
    expect = [{ at = "+${504 * 60 + 2}m", key = ["bob"] }]
  }
  test "three at home" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "SE" })],
      [for i in range(3) : event("+${504 * 60 + i}m", { "event.action" = "login", "event.outcome" = "failure", "user.name" = "bob", "source.geo.country_iso_code" = "SE" })],
    )
    expect = []
  }
}

rule "auth.impossible_travel" {
  title           = "${key} cannot have travelled so fast"
  description     = "Two logins in a row whose places are more than 300 km apart (less the accuracy of both) and would need more than 900 km/h."
  severity        = "high"
  shadow_for      = "14d"
  attack          = ["T1078"]
  tags            = ["login", "place"]
  false_positives = ["VPN and proxies (list vpn_asn)", "a phone on a mobile network beside a computer at the office"]
  runbook         = "Compare devices and networks of both logins. Where one of them is unknown: end its session, reset the password, call the user."
  when            = ok
  by              = [[gatebook.user.key]]
  fire            = gap_km(prev) > 300 && speed_kmh(prev) > 900
  quiet           = "24h"

  except "vpn" {
    when   = contains(list.vpn_asn, source.as.number) || contains(list.vpn_asn, prev.source.as.number)
    reason = "where the company's VPN comes out is not where the user is"
  }

  test "Berlin to Osaka in twelve minutes" {
    events = [
      event("+0s", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.location" = "52.52,13.405" }),
      event("+12m", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.location" = "34.69,135.5" }),
    ]
    expect = [{ at = "+12m", key = ["bob"] }]
  }
  test "by aeroplane" {
    events = [
      event("+0s", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.location" = "52.52,13.405" }),
      event("+12h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.location" = "34.69,135.5" }),
    ]
    expect = []
  }
  test "the next town, placed roughly" {
    events = [
      event("+0s", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.location" = "52.52,13.405", "gatebook.geo.accuracy_km" = 100 }),
      event("+5m", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.location" = "53.55,10.0", "gatebook.geo.accuracy_km" = 100 }),
    ]
    expect = []
  }
  test "two people" {
    events = [
      event("+0s", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.location" = "52.52,13.405" }),
      event("+12m", { "event.action" = "login", "event.outcome" = "success", "user.name" = "eve", "source.geo.location" = "34.69,135.5" }),
    ]
    expect = []
  }
}

rule "auth.two_places" {
  title           = "${key} logs in from two countries within minutes"
  description     = "Successful logins of one user from two countries within fifteen minutes."
  severity        = "medium"
  shadow_for      = "14d"
  attack          = ["T1078"]
  tags            = ["login", "place"]
  false_positives = ["VPN and proxies (list vpn_asn)", "a phone that roams"]
  runbook         = "As auth.impossible_travel, which needs places; this one needs only countries."
  when            = ok && !contains(list.vpn_asn, source.as.number)
  by              = [[gatebook.user.key]]
  window          = "15m"
  fire            = distinct(source.geo.country_iso_code) >= 2
  quiet           = "24h"

  test "Germany and Japan" {
    events = [
      event("+0s", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "DE" }),
      event("+12m", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "JP" }),
    ]
    expect = [{ at = "+12m", key = ["bob"] }]
  }
  test "before and after the flight" {
    events = [
      event("+0s", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "DE" }),
      event("+3h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "ES" }),
    ]
    expect = []
  }
}

# --- times ---

rule "auth.unusual_hour" {
  title           = "${key} logs in at an unusual hour of the night"
  description     = "A login at night, from ten to six, of a user of whose logins less than one in two hundred fall into the night, and not from abroad, where it may be day."
  severity        = "low"
  shadow_for      = "14d"
  attack          = ["T1078"]
  tags            = ["login", "time"]
  false_positives = ["overtime, shifts, another time zone"]
  runbook         = "Harmless alone. Look for a new device, network or country of the same user."
  when            = ok && interactive
  by              = [[gatebook.user.key]]
  fire            = (hour() >= 22 || hour() < 6) && rarity((hour() + 2) % 24 - (hour() + 2) % 8, "60d") < 0.005 && !(rarity(source.geo.country_iso_code, "60d") < 0.5)
  quiet           = "24h"
  learn {
    for        = "14d"
    min_events = 20
  }

  test "three at night after a month of mornings" {
    events = concat([for i in range(30) : login_ok("+${i * 24}h", "bob", "198.51.100.7")], [login_ok("+${29 * 24 + 15}h", "bob", "198.51.100.7")])
    expect = [{ at = "+${29 * 24 + 15}h", key = ["bob"] }]
  }
  test "abroad, where it is day" {
    events = concat(
      [for i in range(30) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "SE" })],
      [event("+${29 * 24 + 15}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.geo.country_iso_code" = "JP" })],
    )
    expect = []
  }
  test "late in the evening" {
    events = concat([for i in range(30) : login_ok("+${i * 24}h", "bob", "198.51.100.7")], [login_ok("+${29 * 24 + 9}h", "bob", "198.51.100.7")])
    expect = []
  }
  test "who works in shifts" {
    events = [for i in range(60) : login_ok("+${i * 20}h", "bob", "198.51.100.7")]
    expect = []
  }
}

rule "auth.rapid_logins" {
  title           = "${count()} logins of ${key} within a minute"
  description     = "Eight successful logins of one person within a minute. Logins with an SSH key are left out: programs make them."
  severity        = "low"
  attack          = ["T1078"]
  tags            = ["login", "time"]
  false_positives = ["a page that opens many applications at once", "a test run"]
  runbook         = "A program uses the account. Put it into the list service_accounts if it is yours; else reset the password."
  when            = ok && interactive && labels.auth_method != "publickey"
  by              = [[gatebook.user.key]]
  window          = "1m"
  fire            = count() >= 8
  quiet           = "12h"

  test "eight in half a minute" {
    events = [for i in range(8) : login_ok("+${i * 4}s", "bob", "203.0.113.9")]
    expect = [{ at = "+28s", key = ["bob"] }]
  }
  test "single sign-on into five applications" {
    events = [for i in range(5) : login_ok("+${i * 2}s", "bob", "198.51.100.7")]
    expect = []
  }
  test "a deployment over twenty servers with a key" {
    parser = "linux_auth"
    log    = join("\n", [for i in range(20) : "2026-01-12T10:00:${10 + i}Z web01 sshd[${200 + i}]: Accepted publickey for deploy from 198.51.100.7 port 5022 ssh2: ED25519 SHA256:abc"])
    expect = []
  }
}

rule "auth.dormant_account" {
  title           = "Dormant account returns: ${key}"
  description     = "An account logs in whose last login was more than 60 days ago."
  severity        = "medium"
  attack          = ["T1078"]
  tags            = ["login", "accounts"]
  false_positives = ["parental leave, long illness", "an account that is needed once a quarter"]
  runbook         = "Ask the user or their manager. Accounts that nobody needs should be disabled."
  when            = ok
  by              = [[gatebook.user.key]]
  fire            = since(prev) > duration("60d")
  quiet           = "24h"

  test "after three months" {
    events = [login_ok("+0s", "bob", "198.51.100.7"), login_ok("+${90 * 24}h", "bob", "203.0.113.9")]
    expect = [{ at = "+${90 * 24}h", key = ["bob"] }]
  }
  test "after the summer holidays" {
    events = [login_ok("+0s", "bob", "198.51.100.7"), login_ok("+${40 * 24}h", "bob", "198.51.100.7")]
    expect = []
  }
  test "a new account" {
    events = [login_ok("+0s", "bob", "198.51.100.7")]
    expect = []
  }
}
