# Sessions: several at once, and how they end.

rule "session.concurrent" {
  title           = "${key} has sessions from many addresses at once"
  description     = "Sessions of one user are open from four or more addresses at the same time."
  severity        = "low"
  shadow_for      = "14d"
  attack          = ["T1078", "T1550.004"]
  tags            = ["session"]
  false_positives = ["laptop, phone and a virtual desktop", "sources that do not log the end of sessions"]
  runbook         = "List the user's sessions (gatebook sessions --user NAME) and end those that the user does not know. An account that several people share shows here too."
  by              = [[gatebook.user.key]]
  quiet           = "24h"

  session {
    open  = (event.action == "session-start" || ok) && interactive && exists(source.ip)
    close = event.action == "session-end" || event.action == "logout" || event.action == "session-expire" || event.action == "session-revoke"
    id    = gatebook.session.id
    idle  = "30m"
  }
  fire = active_distinct(source.ip) >= 4

  test "four addresses" {
    events = [for i in range(4) : event("+${i}m", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "203.0.113.${i + 1}", "gatebook.session.id" = "s${i}" })]
    expect = [{ at = "+3m", key = ["bob"] }]
  }
  test "one after the other" {
    events = [for i in range(8) : event("+${i}m", { "event.action" = i % 2 == 0 ? "login" : "logout", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "203.0.113.${i - i % 2 + 1}", "gatebook.session.id" = "s${i - i % 2}" })]
    expect = []
  }
  test "laptop and phone" {
    events = [for i in range(8) : event("+${i}m", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "203.0.113.${i % 2 + 1}", "gatebook.session.id" = "s${i}" })]
    expect = []
  }
}

rule "session.concurrent_countries" {
  title           = "${key} has sessions in two countries at once"
  description     = "Sessions of one user are open from two or more countries at the same time."
  severity        = "medium"
  shadow_for      = "14d"
  attack          = ["T1078", "T1550.004"]
  tags            = ["session", "place"]
  false_positives = ["VPN and proxies (list vpn_asn)", "a phone that roams beside a computer at the office"]
  runbook         = "Compare devices and networks of both sessions; end the one that the user does not know, reset the password."
  by              = [[gatebook.user.key]]
  quiet           = "24h"

  session {
    open  = (event.action == "session-start" || ok) && interactive && exists(source.geo.country_iso_code) && !contains(list.vpn_asn, source.as.number)
    close = event.action == "session-end" || event.action == "logout" || event.action == "session-expire" || event.action == "session-revoke"
    id    = gatebook.session.id
    idle  = "30m"
  }
  fire = active_distinct(source.geo.country_iso_code) >= 2

  test "Germany and Japan" {
    events = [
      event("+0s", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "192.0.2.70", "source.geo.country_iso_code" = "DE", "gatebook.session.id" = "s1" }),
      event("+12m", { "event.action" = "session-start", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "198.51.100.180", "source.geo.country_iso_code" = "JP", "gatebook.session.id" = "s2" }),
    ]
    expect = [{ at = "+12m", key = ["bob"] }]
  }
  test "logged out before" {
    events = [
      event("+0s", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "192.0.2.70", "source.geo.country_iso_code" = "DE", "gatebook.session.id" = "s1" }),
      event("+10m", { "event.action" = "logout", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "192.0.2.70", "gatebook.session.id" = "s1" }),
      event("+12m", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "198.51.100.180", "source.geo.country_iso_code" = "JP", "gatebook.session.id" = "s2" }),
    ]
    expect = []
  }
  test "idle since long" {
    events = [
      event("+0s", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "192.0.2.70", "source.geo.country_iso_code" = "DE", "gatebook.session.id" = "s1" }),
      event("+3h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "198.51.100.180", "source.geo.country_iso_code" = "JP", "gatebook.session.id" = "s2" }),
    ]
    expect = []
  }
}

rule "session.ended_by_new_login" {
  title           = "Sessions of ${key} are ended by new logins again and again"
  description     = "Three sessions of one user within a day end because the user logs in elsewhere: two people use one account."
  severity        = "medium"
  attack          = ["T1078"]
  tags            = ["session"]
  false_positives = ["a user who closes the browser in place of logging out", "a shared account"]
  runbook         = "Compare the addresses of the logins. Two places in turn: ask the user; reset the password if one of them is unknown."
  when            = event.action == "session-end" && (gatebook.status.code == 7 || matches(event.reason, "(?i)(ended|replaced|terminated) by (a )?new login|logged in elsewhere"))
  by              = [[gatebook.user.key]]
  window          = "24h"
  fire            = count() >= 3
  quiet           = "24h"

  test "three times a day" {
    parser = "payment_portal"
    log    = <<-EOT
      2026-01-12T10:00:00Z,bob,1,7,203.0.113.9,Acme
      2026-01-12T11:00:00Z,bob,1,7,198.51.100.7,Acme
      2026-01-12T12:00:00Z,bob,7,7,203.0.113.9,Acme
    EOT
    expect = [{ at = "+2h", key = ["acme/bob"] }]
  }
  test "once a day" {
    parser = "payment_portal"
    log    = <<-EOT
      2026-01-12T10:00:00Z,bob,1,7,198.51.100.7,Acme
      2026-01-13T11:00:00Z,bob,1,7,198.51.100.7,Acme
      2026-01-14T12:00:00Z,bob,1,7,198.51.100.7,Acme
    EOT
    expect = []
  }
  test "closed as usual" {
    parser = "payment_portal"
    log    = <<-EOT
      2026-01-12T10:00:00Z,bob,1,2,198.51.100.7,Acme
      2026-01-12T11:00:00Z,bob,1,6,198.51.100.7,Acme
      2026-01-12T12:00:00Z,bob,1,2,198.51.100.7,Acme
    EOT
    expect = []
  }
}

rule "session.ip_conflict" {
  title           = "IP conflict: a session of ${key} is used from another address"
  description     = "The portal refused a session because its address changed."
  severity        = "medium"
  attack          = ["T1550.004", "T1539"]
  tags            = ["session"]
  false_positives = ["a phone that changes between Wi-Fi and the mobile network"]
  runbook         = "Compare the networks of the two addresses. Another country or a hosting company: end the session, reset the password; the session may have been stolen."
  when            = event.outcome == "failure" && (event.action == "login" || event.action == "download" || event.action == "upload" || event.action == "request") && gatebook.status.code == 8
  by              = [[gatebook.user.key]]
  quiet           = "24h"

  test "status 8 of the payment portal" {
    parser = "payment_portal"
    log    = "2026-01-12T10:00:00Z,bob,1,8,203.0.113.9"
    expect = [{ at = "+0s", key = ["bob"] }]
  }
  test "a session that is not valid any more" {
    parser = "payment_portal"
    log    = "2026-01-12T10:00:00Z,bob,1,9,203.0.113.9"
    expect = []
  }
}

rule "session.long_lived" {
  title           = "A session of ${key} was open for more than 30 days"
  description     = "A session ends that was open for more than 30 days."
  severity        = "low"
  attack          = ["T1550.004"]
  tags            = ["session"]
  false_positives = ["applications on phones that never log out"]
  runbook         = "Shorten the lifetime of sessions, or end old ones once a month."
  when            = (event.action == "session-end" || event.action == "session-expire" || event.action == "session-revoke") && event.duration > 2592000000000000
  by              = [[gatebook.user.key]]
  quiet           = "24h"

  test "six weeks" {
    parser = "auth_service"
    log    = "{\"sessionId\":\"s-1\",\"protocol\":\"OIDC\",\"clientId\":\"c-7\",\"userId\":\"123\",\"createdAt\":\"2026-01-12T10:00:00Z\",\"updatedAt\":\"2026-02-23T10:00:00Z\",\"status\":\"revoked\"}"
    expect = [{ at = "+0s", key = ["123"] }]
  }
  test "a week" {
    parser = "auth_service"
    log    = "{\"sessionId\":\"s-1\",\"protocol\":\"OIDC\",\"clientId\":\"c-7\",\"userId\":\"123\",\"createdAt\":\"2026-01-12T10:00:00Z\",\"updatedAt\":\"2026-01-19T10:00:00Z\",\"status\":\"expired\"}"
    expect = []
  }
}
