# Deletions, changes and exports. Programs are left out: actor type service, and the list service_accounts.

rule "data.mass_delete" {
  title           = "${count()} deletions by ${key} within five minutes"
  description     = "One person deletes thirty records within five minutes, or ten who deleted nothing in the 90 days before."
  severity        = "high"
  attack          = ["T1485"]
  tags            = ["deletion"]
  false_positives = ["a clean-up that was announced", "a program that runs under a person's account (list service_accounts)"]
  runbook         = "Disable the account until it is clear. Restore from backup what must not be gone; look at the logins of the account on that day."
  when            = deletion
  by              = [[event.dataset, user.name]]
  window          = "5m"
  fire            = count() >= 30 || count() >= 10 && first_seen(event.dataset, "90d")
  quiet           = "6h"
  learn {
    for        = "14d"
    min_events = 5
  }

  test "members of the loyalty platform" {
    parser = "activity_log"
    log    = join("\n", [for i in range(30) : "{\"id\":${i},\"log_name\":\"members\",\"description\":\"deleted\",\"event\":\"deleted\",\"subject_type\":\"App\\\\Models\\\\Member\",\"subject_id\":${100 + i},\"causer_type\":\"App\\\\Models\\\\Staff\",\"causer_id\":12,\"causer_name\":\"Lena Vogt\",\"properties\":[],\"created_at\":\"2026-01-12T02:06:${10 + i}.000000Z\",\"ip_address\":\"203.0.113.215\"}"])
    expect = [{ at = "+29s", key = ["gatebook.activity_log.activity", "lena vogt"] }]
  }
  test "ten, after nothing for half a year" {
    events = concat(
      [for i in range(6) : event("+${i * 72}h", { "event.action" = "delete", "event.outcome" = "success", "event.dataset" = "activity_log.activity", "user.name" = "bob" })],
      [for i in range(10) : event("+${200 * 24 * 3600 + i}s", { "event.action" = "delete", "event.outcome" = "success", "event.dataset" = "activity_log.activity", "user.name" = "bob" })],
    )
    expect = [{ at = "+${200 * 24 * 3600 + 9}s", key = ["gatebook.activity_log.activity", "bob"] }]
  }
  test "ten by somebody who deletes every week" {
    events = concat(
      [for i in range(10) : event("+${i * 168}h", { "event.action" = "delete", "event.outcome" = "success", "event.dataset" = "activity_log.activity", "user.name" = "bob" })],
      [for i in range(10) : event("+${1680 * 3600 + i}s", { "event.action" = "delete", "event.outcome" = "success", "event.dataset" = "activity_log.activity", "user.name" = "bob" })],
    )
    expect = []
  }
  test "a job that cleans up" {
    events = [for i in range(200) : event("+${i}s", { "event.action" = "delete", "event.outcome" = "success", "event.dataset" = "activity_log.activity", "user.name" = "trim", "gatebook.actor.type" = "service" })]
    expect = []
  }
  test "tidying up a list by hand" {
    events = [for i in range(25) : event("+${i * 10}s", { "event.action" = "delete", "event.outcome" = "success", "event.dataset" = "activity_log.activity", "user.name" = "bob" })]
    expect = []
  }
  test "forty changes" {
    events = [for i in range(40) : event("+${i}s", { "event.action" = "update", "event.outcome" = "success", "event.dataset" = "activity_log.activity", "user.name" = "bob" })]
    expect = []
  }
}

rule "data.critical_delete" {
  title           = "${user.name} deleted a critical record (${gatebook.category})"
  description     = "A card, reward or member was deleted (list critical_records)."
  severity        = "low"
  attack          = ["T1485"]
  tags            = ["deletion"]
  false_positives = ["daily business: members who leave, rewards that run out"]
  runbook         = "For the weekly review: was each of them meant? One alert holds what a user deleted until twelve hours pass without."
  when            = deletion && contains(list.critical_records, gatebook.category)
  by              = [[event.dataset, user.name]]
  quiet           = "12h"

  test "a card" {
    parser = "activity_log"
    log    = "{\"id\":1,\"log_name\":\"cards\",\"description\":\"deleted\",\"event\":\"deleted\",\"subject_type\":\"App\\\\Models\\\\Card\",\"subject_id\":12,\"subject_name\":\"Gold\",\"causer_type\":\"App\\\\Models\\\\Partner\",\"causer_id\":3,\"causer_name\":\"Cafe Linden\",\"properties\":[],\"created_at\":\"2026-01-12T10:00:00.000000Z\",\"ip_address\":\"198.51.100.7\"}"
    expect = [{ at = "+0s", key = ["gatebook.activity_log.activity", "cafe linden"] }]
  }
  test "a card changed, a voucher deleted" {
    parser = "activity_log"
    log    = <<-EOT
      {"id":1,"log_name":"cards","description":"updated","event":"updated","subject_type":"App\\Models\\Card","subject_id":12,"causer_type":"App\\Models\\Partner","causer_id":3,"causer_name":"Cafe Linden","properties":[],"created_at":"2026-01-12T10:00:00.000000Z"}
      {"id":2,"log_name":"vouchers","description":"deleted","event":"deleted","subject_type":"App\\Models\\Voucher","subject_id":5,"causer_type":"App\\Models\\Partner","causer_id":3,"causer_name":"Cafe Linden","properties":[],"created_at":"2026-01-12T10:01:00.000000Z"}
    EOT
    expect = []
  }
}

rule "data.unusual_deleter" {
  title           = "${user.name} deletes, and never did"
  description     = "A deletion by a person who was active for a week or more and deleted nothing of the sort (records, accounts, groups) in 90 days."
  severity        = "medium"
  attack          = ["T1485"]
  tags            = ["deletion"]
  false_positives = ["a new task", "the deputy of somebody on holiday"]
  runbook         = "Ask the user. See from where the account was logged in and what else it did on that day."
  when            = interactive && event.outcome != "failure" && (event.action == "login" || event.action == "create" || event.action == "update" || event.action == "delete" || event.action == "user-create" || event.action == "user-update" || event.action == "user-delete" || event.action == "group-update" || event.action == "group-delete" || event.action == "transaction" || event.action == "redeem")
  by              = [[event.dataset, user.name]]
  fire            = deletion && first_seen(event.action, "90d")
  quiet           = "24h"
  learn {
    for        = "7d"
    min_events = 20
  }

  test "after three weeks without" {
    events = concat(
      [for i in range(40) : event("+${i * 12}h", { "event.action" = "update", "event.outcome" = "success", "event.dataset" = "activity_log.activity", "user.name" = "bob" })],
      [event("+481h", { "event.action" = "user-delete", "event.outcome" = "success", "event.dataset" = "activity_log.activity", "user.name" = "bob", "user.target.name" = "m1" })],
    )
    expect = [{ at = "+481h", key = ["gatebook.activity_log.activity", "bob"] }]
  }
  test "who deletes every week" {
    events = [for i in range(60) : event("+${i * 12}h", { "event.action" = i % 14 == 3 ? "delete" : "update", "event.outcome" = "success", "event.dataset" = "activity_log.activity", "user.name" = "bob" })]
    expect = []
  }
  test "the first days of a new colleague" {
    events = [for i in range(10) : event("+${i * 12}h", { "event.action" = i == 9 ? "delete" : "update", "event.outcome" = "success", "event.dataset" = "activity_log.activity", "user.name" = "bob" })]
    expect = []
  }
}

rule "data.delete_after_hours" {
  title           = "${user.name} deletes outside business hours"
  description     = "A person deletes records at night or on a Sunday."
  severity        = "low"
  attack          = ["T1485"]
  tags            = ["deletion", "time"]
  false_positives = ["businesses that are open in the evening: change the hours in a copy of this rule"]
  runbook         = "Look at what was deleted and from where. Together with auth.new_country or data.mass_delete: disable the account."
  when            = deletion && outside("mon-sat 06:00-22:00")
  by              = [[event.dataset, user.name]]
  quiet           = "12h"

  test "at two in the night" {
    parser = "activity_log"
    log    = "{\"id\":1,\"log_name\":\"members\",\"description\":\"deleted\",\"event\":\"deleted\",\"subject_type\":\"App\\\\Models\\\\Member\",\"subject_id\":7,\"causer_type\":\"App\\\\Models\\\\Staff\",\"causer_id\":12,\"causer_name\":\"Lena Vogt\",\"properties\":[],\"created_at\":\"2026-01-12T02:06:00.000000Z\",\"ip_address\":\"203.0.113.215\"}"
    expect = [{ at = "+0s", key = ["gatebook.activity_log.activity", "lena vogt"] }]
  }
  test "at two in the afternoon, and at night by a job" {
    parser = "activity_log"
    log    = <<-EOT
      {"id":1,"log_name":"members","description":"deleted","event":"deleted","subject_type":"App\\Models\\Member","subject_id":7,"causer_type":"App\\Models\\Staff","causer_id":12,"causer_name":"Lena Vogt","properties":[],"created_at":"2026-01-12T14:06:00.000000Z","ip_address":"198.51.100.7"}
      {"id":2,"log_name":"members","description":"deleted","event":"deleted","subject_type":"App\\Models\\Member","subject_id":8,"causer_type":null,"causer_id":null,"properties":[],"created_at":"2026-01-13T02:06:00.000000Z"}
    EOT
    expect = []
  }
}

rule "data.mass_change" {
  title           = "${count()} changes by ${key} within ten minutes"
  description     = "One person changes a hundred records within ten minutes."
  severity        = "low"
  shadow_for      = "14d"
  attack          = ["T1565.001"]
  tags            = ["change"]
  false_positives = ["an import, a new price list"]
  runbook         = "Look at the changes (gatebook.changes): the same field of all records is usually a campaign, points or bank data are not."
  when            = (event.action == "update" || event.action == "user-update") && event.outcome != "failure" && interactive
  by              = [[event.dataset, user.name]]
  window          = "10m"
  fire            = count() >= 100
  quiet           = "12h"

  test "a hundred in five minutes" {
    events = [for i in range(100) : event("+${i * 3}s", { "event.action" = "update", "event.outcome" = "success", "event.dataset" = "activity_log.activity", "user.name" = "bob" })]
    expect = [{ at = "+297s", key = ["gatebook.activity_log.activity", "bob"] }]
  }
  test "a day's work" {
    events = [for i in range(120) : event("+${i * 3}m", { "event.action" = "update", "event.outcome" = "success", "event.dataset" = "activity_log.activity", "user.name" = "bob" })]
    expect = []
  }
}

rule "data.bulk_export" {
  title           = "${count()} exports and downloads by ${key} within an hour"
  description     = "One person exports or downloads twenty times within an hour, or five times who took nothing out in the 90 days before."
  severity        = "medium"
  attack          = ["T1213", "T1567"]
  tags            = ["export"]
  false_positives = ["the end of the month, an audit"]
  runbook         = "Ask the user what for. See which reports, from where, and whether the account's logins look like the user."
  when            = taken_out
  by              = [[event.dataset, user.name]]
  window          = "1h"
  fire            = count() >= 20 || count() >= 5 && first_seen(event.dataset, "90d")
  quiet           = "12h"

  test "twenty reports of the payment portal" {
    parser = "payment_portal"
    log    = join("\n", [for i in range(20) : "2026-01-12T10:${10 + i}:00Z,bob,2,2,203.0.113.9,Acme"])
    expect = [{ at = "+19m", key = ["gatebook.payment_portal.login", "bob"] }]
  }
  test "five by somebody who took nothing for half a year" {
    events = concat(
      [for i in range(6) : event("+${i * 72}h", { "event.action" = "export", "event.outcome" = "success", "event.dataset" = "auth_service.audit", "user.name" = "bob" })],
      [for i in range(5) : event("+${200 * 24 * 60 + i}m", { "event.action" = "export", "event.outcome" = "success", "event.dataset" = "auth_service.audit", "user.name" = "bob" })],
    )
    expect = [{ at = "+${200 * 24 * 60 + 4}m", key = ["gatebook.auth_service.audit", "bob"] }]
  }
  test "the reports of the day" {
    parser = "payment_portal"
    log    = join("\n", [for i in range(6) : "2026-01-12T10:${10 + i}:00Z,bob,2,2,198.51.100.7,Acme"])
    expect = []
  }
  test "uploads of a batch" {
    parser = "payment_portal"
    log    = join("\n", [for i in range(30) : "2026-01-12T10:${10 + i}:00Z,bob,3,2,198.51.100.7,Acme"])
    expect = []
  }
}

rule "data.export_after_mfa_off" {
  title           = "${key} switched the second factor off and took data out"
  description     = "Within an hour after a second factor was switched off the account exports or downloads."
  severity        = "high"
  attack          = ["T1556.006", "T1213"]
  tags            = ["export", "mfa", "extra"]
  false_positives = ["a new phone in the middle of work"]
  runbook         = "Treat the account as taken over until the user says otherwise: end its sessions, reset the password, list what was taken."
  by              = [[gatebook.user.key]]
  quiet           = "12h"

  sequence {
    within = "1h"
    step "off" { when = event.action == "mfa-disable" && event.outcome == "success" }
    without "back" { when = (event.action == "mfa-enable" || event.action == "mfa-enroll") && event.outcome == "success" }
    step "taken" { when = taken_out }
  }

  test "rows of the payment portal" {
    parser = "payment_portal"
    log    = <<-EOT
      2026-01-12T10:00:00Z,bob,1,16,203.0.113.201,Acme
      2026-01-12T10:01:00Z,bob,2,2,203.0.113.201,Acme
    EOT
    expect = [{ at = "+1m", key = ["acme/bob"] }]
  }
  test "a new phone first" {
    parser = "payment_portal"
    log    = <<-EOT
      2026-01-12T10:00:00Z,bob,1,16,198.51.100.7,Acme
      2026-01-12T10:01:00Z,bob,1,18,198.51.100.7,Acme
      2026-01-12T10:02:00Z,bob,2,2,198.51.100.7,Acme
    EOT
    expect = []
  }
}
