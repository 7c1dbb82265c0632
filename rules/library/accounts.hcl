# Passwords, second factors, lock-outs.

rule "account.new_address_after_password_change" {
  title           = "${key} logs in from a new address right after the password was changed"
  description     = "Within an hour after a password was changed or reset, the account logs in from an address that it was not seen at in 90 days."
  severity        = "medium"
  attack          = ["T1098", "T1078"]
  tags            = ["password", "compromise"]
  false_positives = ["a password forgotten on a journey"]
  runbook         = "Ask the user over another channel than mail whether they changed the password. If not: disable the account, end its sessions, see how the reset was confirmed (mail, help desk)."
  by              = [[gatebook.user.key]]
  quiet           = "12h"
  learn {
    for        = "7d"
    min_events = 5
  }

  sequence {
    within = "1h"
    step "changed" { when = (event.action == "password-change" || event.action == "password-reset") && event.outcome == "success" }
    step "entered" { when = ok && first_seen(source.ip, "90d") }
  }

  test "reset, then in from elsewhere" {
    events = concat(
      [for i in range(21) : login_ok("+${i * 24}h", "bob", "198.51.100.7")],
      [event("+504h", { "event.action" = "password-reset", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "203.0.113.201" }), login_ok("+${504 * 60 + 1}m", "bob", "203.0.113.201")],
    )
    expect = [{ at = "+${504 * 60 + 1}m", key = ["bob"] }]
  }
  test "reset at the usual place" {
    events = concat(
      [for i in range(21) : login_ok("+${i * 24}h", "bob", "198.51.100.7")],
      [event("+504h", { "event.action" = "password-reset", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "198.51.100.7" }), login_ok("+${504 * 60 + 1}m", "bob", "198.51.100.7")],
    )
    expect = []
  }
  test "a new place a day later" {
    events = concat(
      [for i in range(21) : login_ok("+${i * 24}h", "bob", "198.51.100.7")],
      [event("+504h", { "event.action" = "password-change", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "198.51.100.7" }), login_ok("+528h", "bob", "203.0.113.9")],
    )
    expect = []
  }
}

rule "account.reset_requests" {
  title           = "Password resets of ${distinct(gatebook.user.key)} accounts asked for from ${key}"
  description     = "One address asks for password resets of five or more accounts within an hour."
  severity        = "medium"
  attack          = ["T1110", "T1589.001"]
  tags            = ["password", "extra"]
  false_positives = ["an office behind one address on the day when all passwords expire"]
  runbook         = "Somebody looks for accounts or floods mailboxes. Block the address; see that the page says the same for accounts that do not exist."
  when            = event.action == "password-reset-request"
  by              = [[source.ip]]
  window          = "1h"
  fire            = distinct(gatebook.user.key) >= 5
  quiet           = "12h"

  test "six accounts" {
    events = [for i in range(6) : event("+${i}m", { "event.action" = "password-reset-request", "event.outcome" = "success", "user.name" = "u${i}", "source.ip" = "203.0.113.9" })]
    expect = [{ at = "+4m", key = ["203.0.113.9"] }]
  }
  test "one user, again and again" {
    events = [for i in range(6) : event("+${i}m", { "event.action" = "password-reset-request", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "203.0.113.9" })]
    expect = []
  }
}

rule "account.lockout_burst" {
  title           = "${distinct(gatebook.user.key)} accounts locked within 15 minutes at ${key}"
  description     = "Five or more accounts are locked within 15 minutes."
  severity        = "medium"
  attack          = ["T1110.003", "T1531"]
  tags            = ["accounts", "lockout"]
  false_positives = ["all passwords expired on the same day"]
  runbook         = "See from which addresses the failures before came, block them, then unlock the accounts. A lock-out of many may be the aim itself."
  when            = event.action == "account-lock"
  by              = [[event.dataset]]
  window          = "15m"
  fire            = distinct(gatebook.user.key) >= 5
  quiet           = "6h"

  test "five in ten minutes" {
    events = [for i in range(5) : event("+${i * 2}m", { "event.action" = "account-lock", "event.outcome" = "success", "event.dataset" = "auth_service.event", "user.name" = "u${i}" })]
    expect = [{ at = "+8m", key = ["gatebook.auth_service.event"] }]
  }
  test "rows of the auth service" {
    parser = "auth_service"
    log    = join("\n", [for i in range(5) : "{\"eventType\":\"account_locked\",\"createdOn\":\"2026-01-12T10:0${i}:00Z\",\"email\":\"u${i}@example.com\",\"ipAddress\":\"203.0.113.18\"}"])
    expect = [{ at = "+4m", key = ["gatebook.auth_service.event"] }]
  }
  test "one user five times" {
    events = [for i in range(5) : event("+${i * 2}m", { "event.action" = "account-lock", "event.outcome" = "success", "event.dataset" = "auth_service.event", "user.name" = "bob" })]
    expect = []
  }
  test "a few over the day" {
    events = [for i in range(8) : event("+${i}h", { "event.action" = "account-lock", "event.outcome" = "success", "event.dataset" = "auth_service.event", "user.name" = "u${i}" })]
    expect = []
  }
}

rule "account.locked_at_second_factor" {
  title           = "Account locked at the second factor: ${key}"
  description     = "An account is locked because of wrong second factors. Whoever got that far had the password."
  severity        = "medium"
  attack          = ["T1110", "T1621"]
  tags            = ["accounts", "lockout", "mfa"]
  false_positives = ["a new phone whose codes are not set up yet", "a clock that is wrong"]
  runbook         = "Ask the user. If it was not them: the password is known to somebody, reset it before you unlock."
  when            = event.action == "account-lock" && (gatebook.mfa.used == true || gatebook.status.code == 20)
  by              = [[gatebook.user.key]]
  quiet           = "12h"

  test "status 20 of the payment portal" {
    parser = "payment_portal"
    log    = "2026-01-12T10:00:00Z,bob,1,20,203.0.113.9"
    expect = [{ at = "+0s", key = ["bob"] }]
  }
  test "locked for wrong passwords" {
    parser = "user_activity"
    log    = "timestamp=2026-01-12T10:00:00Z event=account.locked user=bob ip=203.0.113.9 reason=\"5 failed attempts\""
    expect = []
  }
}

# --- second factors ---

rule "mfa.fatigue" {
  title           = "${key} gave in after many requests for a second factor"
  description     = "A second factor succeeds after five that failed or were rejected, or after six requests without another success, within half an hour: somebody who has the password asks until the user says yes."
  severity        = "high"
  attack          = ["T1621"]
  tags            = ["mfa", "compromise"]
  false_positives = ["a user who mistypes codes from a new phone"]
  runbook         = "Call the user now. If they did not log in: end all sessions, reset the password, look at what was done since."
  when            = factor_ok || factor_failed || event.action == "mfa-challenge"
  by              = [[gatebook.user.key]]
  window          = "30m"
  fire            = factor_ok && (count(factor_failed) >= 5 || count(event.action == "mfa-challenge") >= 6 && count(factor_ok) < 2)
  quiet           = "6h"

  test "rejected six times, then accepted" {
    events = concat([for i in range(6) : event("+${i * 25}s", { "event.action" = "mfa-verify", "event.outcome" = "failure", "event.reason" = "User rejected Okta push verify", "user.name" = "quinn", "source.ip" = "203.0.113.77" })],
    [event("+5m", { "event.action" = "mfa-verify", "event.outcome" = "success", "user.name" = "quinn", "source.ip" = "203.0.113.77" })])
    expect = [{ at = "+5m", key = ["quinn"] }]
  }
  test "rows of the payment portal" {
    parser = "payment_portal"
    log    = join("\n", [for i in range(7) : "2026-01-12T10:0${i}:00Z,bob,1,24,203.0.113.9,Acme"], ["2026-01-12T10:07:00Z,bob,1,21,203.0.113.9,Acme"])
    expect = [{ at = "+7m", key = ["acme/bob"] }]
  }
  test "mistyped twice" {
    events = concat([for i in range(2) : event("+${i * 25}s", { "event.action" = "mfa-verify", "event.outcome" = "failure", "user.name" = "bob" })], [event("+1m", { "event.action" = "mfa-verify", "event.outcome" = "success", "user.name" = "bob" })])
    expect = []
  }
  test "asked and answered at each of seven logins" {
    parser = "payment_portal"
    log    = join("\n", [for i in range(14) : i % 2 == 0 ? "2026-01-12T10:${10 + i}:00Z,bob,1,25,198.51.100.7,Acme" : "2026-01-12T10:${10 + i}:00Z,bob,1,21,198.51.100.7,Acme"])
    expect = []
  }
}

rule "mfa.guessing" {
  title           = "${count()} wrong second factors of ${key}"
  description     = "Five wrong second factors or one-time codes of one user within 15 minutes."
  severity        = "medium"
  attack          = ["T1110.001", "T1621"]
  tags            = ["mfa", "failures"]
  false_positives = ["a clock that is wrong", "a new phone"]
  runbook         = "The password was right before. Ask the user; if it was not them, reset the password."
  when            = factor_failed
  by              = [[gatebook.user.key]]
  window          = "15m"
  fire            = count() >= 5
  quiet           = "6h"

  test "five in five minutes" {
    events = [for i in range(5) : event("+${i}m", { "event.action" = "mfa-verify", "event.outcome" = "failure", "user.name" = "bob" })]
    expect = [{ at = "+4m", key = ["bob"] }]
  }
  test "one-time codes of the loyalty platform" {
    parser = "activity_log"
    log    = join("\n", [for i in range(5) : "{\"id\":${i},\"log_name\":\"auth\",\"description\":\"One-time code was wrong\",\"event\":\"otp_failed\",\"subject_type\":\"App\\\\Models\\\\Member\",\"subject_id\":7,\"causer_type\":\"App\\\\Models\\\\Member\",\"causer_id\":7,\"properties\":[],\"created_at\":\"2026-01-12T10:0${i}:00.000000Z\",\"ip_address\":\"203.0.113.9\"}"])
    expect = [{ at = "+4m", key = ["member:7"] }]
  }
  test "wrong passwords" {
    events = [for i in range(5) : login_failed("+${i}m", "bob", "203.0.113.9")]
    expect = []
  }
  test "one wrong code an hour" {
    events = [for i in range(6) : event("+${i}h", { "event.action" = "otp-verify", "event.outcome" = "failure", "user.name" = "bob" })]
    expect = []
  }
}

rule "mfa.bypass" {
  title           = "${key} was asked for a second factor and got in without"
  description     = "A second factor was asked for, none was checked, and the same address is logged in all the same; nor is one checked within ten minutes."
  severity        = "high"
  attack          = ["T1556.006", "T1078"]
  tags            = ["mfa", "compromise"]
  false_positives = ["an application that does not log the second factor of some kinds of login"]
  runbook         = "See how this login came about: another entry (mobile, interface), a remembered device, a policy that makes exceptions. Close it; end the session; ask the user."
  by              = [[gatebook.user.key]]
  quiet           = "12h"

  sequence {
    within = "10m"
    step "asked" { when = event.action == "mfa-challenge" && event.code != "policy.evaluate_sign_on" }
    without "checked" { when = factor_ok }
    step "entered" { when = ok && gatebook.mfa.used != true && source.ip == asked.source.ip && event.dataset == asked.event.dataset }
    without "checked_later" { when = factor_ok }
  }

  test "asked, and in by another entry" {
    parser = "payment_portal"
    log    = <<-EOT
      2026-01-12T10:00:00Z,bob,1,25,203.0.113.9,Acme
      2026-01-12T10:01:00Z,bob,7,1,203.0.113.9,Acme
    EOT
    until  = "+11m"
    expect = [{ at = "+10m", key = ["acme/bob"] }]
  }
  test "asked and checked" {
    parser = "payment_portal"
    log    = <<-EOT
      2026-01-12T10:00:00Z,bob,1,25,203.0.113.9,Acme
      2026-01-12T10:00:20Z,bob,1,21,203.0.113.9,Acme
      2026-01-12T10:01:00Z,bob,7,1,203.0.113.9,Acme
    EOT
    until  = "+11m"
    expect = []
  }
  test "the source tells of the factor after the login" {
    parser = "user_activity"
    log    = <<-EOT
      timestamp=2026-01-12T10:00:00Z event=mfa.challenge user=bob ip=198.51.100.7
      timestamp=2026-01-12T10:00:10Z event=login.success user=bob ip=198.51.100.7
      timestamp=2026-01-12T10:00:12Z event=mfa.verified user=bob ip=198.51.100.7 mfa_method=totp
    EOT
    until  = "+11m"
    expect = []
  }
}

rule "mfa.bypass_attempt" {
  title           = "${key}: attempts to get around the second factor"
  description     = "The source itself says that somebody tries to get around the second factor, or second factors come with invalid data three times within an hour."
  severity        = "medium"
  attack          = ["T1556.006", "T1621"]
  tags            = ["mfa"]
  false_positives = ["an old version of an application"]
  runbook         = "Somebody who has the password tampers with the request. Reset the password, look at the address's other attempts."
  when            = event.code == "user.mfa.attempt_bypass" || gatebook.status.code == 26 && event.action == "mfa-verify"
  by              = [[gatebook.user.key]]
  window          = "1h"
  fire            = event.code == "user.mfa.attempt_bypass" || count() >= 3
  quiet           = "12h"

  test "Okta says so" {
    events = [event("+0s", { "event.action" = "mfa-verify", "event.outcome" = "failure", "event.code" = "user.mfa.attempt_bypass", "user.name" = "bob" })]
    expect = [{ at = "+0s", key = ["bob"] }]
  }
  test "status 26 of the payment portal, three times" {
    parser = "payment_portal"
    log    = <<-EOT
      2026-01-12T10:00:00Z,bob,1,26,203.0.113.9,Acme
      2026-01-12T10:01:00Z,bob,1,26,203.0.113.9,Acme
      2026-01-12T10:02:00Z,bob,1,26,203.0.113.9,Acme
    EOT
    expect = [{ at = "+2m", key = ["acme/bob"] }]
  }
  test "once" {
    parser = "payment_portal"
    log    = "2026-01-12T10:00:00Z,bob,1,26,203.0.113.9"
    expect = []
  }
}

rule "mfa.disabled" {
  title           = "Second factor switched off: ${key}"
  description     = "A second factor of an account was switched off or taken away."
  severity        = "low"
  attack          = ["T1556.006"]
  tags            = ["mfa"]
  false_positives = ["a new phone", "one of several factors"]
  runbook         = "mfa.off_not_restored tells you when none comes back within twelve hours."
  when            = event.action == "mfa-disable" && event.outcome == "success"
  by              = [[gatebook.user.key]]
  quiet           = "24h"

  test "status 16 of the payment portal" {
    parser = "payment_portal"
    log    = "2026-01-12T10:00:00Z,bob,1,16,203.0.113.9"
    expect = [{ at = "+0s", key = ["bob"] }]
  }
  test "set up and switched on" {
    parser = "payment_portal"
    log    = <<-EOT
      2026-01-12T10:00:00Z,bob,1,18,203.0.113.9
      2026-01-12T10:01:00Z,bob,1,17,203.0.113.9
    EOT
    expect = []
  }
}

rule "mfa.off_not_restored" {
  title           = "Second factor of ${key} is off for twelve hours"
  description     = "A second factor was switched off and within twelve hours none was set up, switched on or used."
  severity        = "high"
  attack          = ["T1556.006"]
  tags            = ["mfa", "compromise"]
  false_positives = ["one of several factors was removed, and the user did not log in since"]
  runbook         = "Ask the user and whoever switched it off. Require the second factor again; look at the logins since."
  by              = [[gatebook.user.key]]

  sequence {
    within = "12h"
    step "off" { when = event.action == "mfa-disable" && event.outcome == "success" }
    without "back" { when = (event.action == "mfa-enable" || event.action == "mfa-enroll") && event.outcome == "success" || factor_ok }
  }

  test "deadline" {
    parser = "payment_portal"
    log    = "2026-01-12T10:00:00Z,bob,1,16,203.0.113.9"
    until  = "+13h"
    expect = [{ at = "+12h", key = ["bob"] }]
  }
  test "a new phone" {
    parser = "payment_portal"
    log    = <<-EOT
      2026-01-12T10:00:00Z,bob,1,16,198.51.100.7
      2026-01-12T10:20:00Z,bob,1,18,198.51.100.7
    EOT
    until  = "+13h"
    expect = []
  }
  test "another factor is still in use" {
    events = [
      event("+0s", { "event.action" = "mfa-disable", "event.outcome" = "success", "user.name" = "bob" }),
      event("+3h", { "event.action" = "mfa-verify", "event.outcome" = "success", "user.name" = "bob" }),
    ]
    until  = "+13h"
    expect = []
  }
}

rule "mfa.reset_then_login" {
  title           = "${key} logs in from a new address after the second factor was reset"
  description     = "Within a day after the second factors of an account were reset, it logs in from an address that it was not seen at in 90 days: with a new device too it is mfa.reset_then_new_device."
  severity        = "medium"
  attack          = ["T1556.006", "T1078"]
  tags            = ["mfa", "compromise"]
  false_positives = ["a lost phone on a journey"]
  runbook         = "Call the user on a known number. If they asked for no reset: disable the account, end its sessions, find out who reset the factor and why."
  by              = [[gatebook.user.key]]
  quiet           = "24h"
  learn {
    for        = "7d"
    min_events = 5
  }

  sequence {
    within = "24h"
    step "reset" { when = event.action == "mfa-reset" && event.outcome == "success" }
    step "entered" { when = ok && first_seen(source.ip, "90d") }
  }

  test "reset by the help desk, in from elsewhere" {
    events = concat(
      [for i in range(21) : login_ok("+${i * 24}h", "bob", "198.51.100.7")],
      [event("+504h", { "event.action" = "mfa-reset", "event.outcome" = "success", "user.name" = "helpdesk", "user.target.name" = "bob" }), login_ok("+505h", "bob", "203.0.113.9")],
    )
    expect = [{ at = "+505h", key = ["bob"] }]
  }
  test "a new phone at the usual place" {
    events = concat(
      [for i in range(21) : login_ok("+${i * 24}h", "bob", "198.51.100.7")],
      [event("+504h", { "event.action" = "mfa-reset", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "198.51.100.7" }), login_ok("+505h", "bob", "198.51.100.7")],
    )
    expect = []
  }
}

rule "mfa.reset_then_new_device" {
  title           = "${key} logs in from a new address with a new device after the second factor was reset"
  description     = "Within a day after the second factors of an account were reset, it logs in from an address and with a browser and operating system that it was not seen with in 90 days: the way of those who talk the help desk round."
  severity        = "high"
  attack          = ["T1556.006", "T1078"]
  tags            = ["mfa", "compromise"]
  false_positives = ["all devices lost on a journey"]
  runbook         = "Call the user on a known number. If they asked for no reset: disable the account, end its sessions, find out who reset the factor and why."
  by              = [[gatebook.user.key]]
  quiet           = "24h"
  learn {
    for        = "7d"
    min_events = 5
  }

  sequence {
    within = "24h"
    step "reset" { when = event.action == "mfa-reset" && event.outcome == "success" }
    step "entered" { when = ok && first_seen(source.ip, "90d") && first_seen([user_agent.name, user_agent.os.name], "90d") }
  }

  test "reset by the help desk, in from elsewhere with another computer" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "198.51.100.7", "user_agent.name" = "Safari", "user_agent.os.name" = "macOS" })],
      [
        event("+504h", { "event.action" = "mfa-reset", "event.outcome" = "success", "user.name" = "helpdesk", "user.target.name" = "bob" }),
        event("+505h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "203.0.113.9", "user_agent.name" = "Firefox", "user_agent.os.name" = "Linux" }),
      ],
    )
    expect = [{ at = "+505h", key = ["bob"] }]
  }
  test "a lost phone on a journey" {
    events = concat(
      [for i in range(21) : event("+${i * 24}h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "198.51.100.7", "user_agent.name" = "Safari", "user_agent.os.name" = "macOS" })],
      [
        event("+504h", { "event.action" = "mfa-reset", "event.outcome" = "success", "user.name" = "helpdesk", "user.target.name" = "bob" }),
        event("+505h", { "event.action" = "login", "event.outcome" = "success", "user.name" = "bob", "source.ip" = "203.0.113.9", "user_agent.name" = "Safari", "user_agent.os.name" = "macOS" }),
      ],
    )
    expect = []
  }
}
