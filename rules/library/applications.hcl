# Which applications an account enters, when, and how often.

rule "app.sensitive_after_hours" {
  title           = "${key} enters ${gatebook.client.name} outside business hours"
  description     = "A login to a sensitive application outside business hours. Silent until the list sensitive_applications is filled."
  severity        = "medium"
  attack          = ["T1078"]
  tags            = ["application", "time"]
  false_positives = ["overtime, the end of the month"]
  runbook         = "Ask the user or their manager; look at what was read or exported."
  when            = ok && interactive && (contains(list.sensitive_applications, gatebook.client.name) || contains(list.sensitive_applications, gatebook.client.id) || contains(list.sensitive_applications, service.name)) && outside("mon-fri 07:00-19:00")
  by              = [[gatebook.user.key]]
  quiet           = "12h"

  test "at one in the night" {
    parser = "auth_service"
    log    = "{\"eventType\":\"login\",\"clientName\":\"example.sensitive-application\",\"createdOn\":\"2026-01-13T01:00:00Z\",\"email\":\"kate@example.com\",\"username\":\"kate\",\"ipAddress\":\"203.0.113.9\"}"
    expect = [{ at = "+0s", key = ["kate"] }]
  }
  test "at ten in the morning" {
    parser = "auth_service"
    log    = "{\"eventType\":\"login\",\"clientName\":\"example.sensitive-application\",\"createdOn\":\"2026-01-13T10:00:00Z\",\"email\":\"kate@example.com\",\"username\":\"kate\",\"ipAddress\":\"203.0.113.9\"}"
    expect = []
  }
  test "another application" {
    parser = "auth_service"
    log    = "{\"eventType\":\"login\",\"clientName\":\"Payroll\",\"createdOn\":\"2026-01-13T01:00:00Z\",\"email\":\"kate@example.com\",\"username\":\"kate\",\"ipAddress\":\"203.0.113.9\"}"
    expect = []
  }
}

rule "app.first_use" {
  title           = "${key} enters ${coalesce(gatebook.client.name, gatebook.client.id)} for the first time"
  description     = "An account enters an application that it did not use in 90 days."
  severity        = "low"
  shadow_for      = "14d"
  attack          = ["T1078"]
  tags            = ["application"]
  false_positives = ["a new task, a new application"]
  runbook         = "Harmless alone. Many at once after a new device or country are somebody who looks around."
  when            = event.outcome == "success" && interactive && (event.action == "login" || event.action == "login-detail" || event.action == "token-issue" || event.action == "grant-create") && (exists(gatebook.client.name) || exists(gatebook.client.id))
  by              = [[gatebook.user.key]]
  fire            = first_seen(coalesce(gatebook.client.name, gatebook.client.id), "90d")
  quiet           = "24h"

  test "payroll after three weeks of mail" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "gatebook.client.name" = "Mail" })],
      [event("+504h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "gatebook.client.name" = "Payroll" })],
    )
    expect = [{ at = "+504h", key = ["bob"] }]
  }
  test "the usual ones" {
    events = [for i in range(40) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "gatebook.client.name" = i % 10 == 3 ? "Reports" : "Mail" })]
    expect = []
  }
}

rule "app.access_spike" {
  title           = "${count()} accesses by ${key} within an hour"
  description     = "An account is used at least forty times within an hour and more than four times as often as ever at this hour of the day. Says nothing before two weeks are known."
  severity        = "medium"
  shadow_for      = "14d"
  attack          = ["T1078", "T1213"]
  tags            = ["application", "baseline"]
  false_positives = ["the end of the quarter", "a script under a person's account"]
  runbook         = "See what was read: many different things in order are somebody who copies. Compare address and user agent with the days before."
  when            = event.outcome == "success" && interactive && (event.action == "login" || event.action == "login-detail" || event.action == "token-issue" || event.action == "download" || event.action == "export" || event.action == "session-start") && event.dataset != "linux.auth"
  by              = [[gatebook.user.key]]
  window          = "1h"
  fire            = count() >= 40 && count() > 4 * baseline("hour-of-day", "28d", 0.99)
  quiet           = "12h"

  test "sixty downloads after weeks of one a day" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "event.dataset" = "auth_service.event" })],
      [for i in range(60) : event("+${504 * 3600 + i * 20}s", { "event.action" = "download", "event.outcome" = "success", "user.name" = "bob", "event.dataset" = "auth_service.event" })],
    )
    expect = [{ at = "+${504 * 3600 + 39 * 20}s", key = ["bob"] }]
  }
  test "a busy morning" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "event.dataset" = "auth_service.event" })],
      [for i in range(25) : event("+${504 * 3600 + i * 20}s", { "event.action" = "download", "event.outcome" = "success", "user.name" = "bob", "event.dataset" = "auth_service.event" })],
    )
    expect = []
  }
}
