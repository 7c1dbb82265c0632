# What administrators do: rights, identity providers, secrets, settings, the audit trail.

rule "admin.after_hours" {
  title           = "${key}: administrator logs in outside business hours"
  description     = "An administrator logs in interactively outside business hours. Who is one: actor type admin, the list admins, or an application of the list admin_applications."
  severity        = "medium"
  attack          = ["T1078"]
  tags            = ["admin", "time"]
  false_positives = ["on-call duty, maintenance at night"]
  runbook         = "Ask for the ticket. Without one: end the session and look at the audit log of that night."
  when            = ok && interactive && admin && outside("mon-fri 06:00-20:00")
  by              = [[gatebook.user.key]]
  quiet           = "12h"

  test "one in the night" {
    parser = "auth_service"
    log    = "{\"eventType\":\"login\",\"clientName\":\"Admin UI\",\"createdOn\":\"2026-01-13T01:00:00Z\",\"email\":\"jan.admin@example.com\",\"username\":\"jan\",\"ipAddress\":\"203.0.113.210\"}"
    expect = [{ at = "+0s", key = ["jan"] }]
  }
  test "a Sunday" {
    parser = "activity_log"
    log    = "{\"id\":1,\"log_name\":\"auth\",\"description\":\"login\",\"event\":\"login\",\"subject_type\":null,\"subject_id\":null,\"causer_type\":\"App\\\\Models\\\\Admin\",\"causer_id\":1,\"causer_name\":\"Nadia Berger\",\"properties\":[],\"created_at\":\"2026-01-11T11:00:00.000000Z\",\"ip_address\":\"198.51.100.7\"}"
    expect = [{ at = "+0s", key = ["nadia berger"] }]
  }
  test "in the morning, and at night somebody who is none" {
    parser = "auth_service"
    log    = <<-EOT
      {"eventType":"login","clientName":"Admin UI","createdOn":"2026-01-13T09:00:00Z","email":"jan.admin@example.com","username":"jan","ipAddress":"198.51.100.7"}
      {"eventType":"login","clientName":"Portal","createdOn":"2026-01-13T23:00:00Z","email":"kate@example.com","username":"kate","ipAddress":"198.51.100.7"}
      {"eventType":"login_failed","clientName":"Admin UI","createdOn":"2026-01-14T01:00:00Z","email":"jan.admin@example.com","username":"jan","ipAddress":"198.51.100.7"}
    EOT
    expect = []
  }
}

rule "admin.change_after_hours" {
  title           = "${user.name} administers outside business hours"
  description     = "An administrator changes accounts, rights or settings outside business hours."
  severity        = "low"
  attack          = ["T1098"]
  tags            = ["admin", "time"]
  false_positives = ["on-call duty, maintenance at night"]
  runbook         = "Ask for the ticket; read the changes of that night."
  when            = gatebook.actor.type == "admin" && interactive && (event.category == "iam" || event.category == "configuration") && event.outcome != "failure" && outside("mon-fri 06:00-20:00")
  by              = [[event.dataset, user.name]]
  quiet           = "12h"

  test "a client secret at one in the night" {
    parser = "auth_service"
    log    = "{\"action\":\"update Client\",\"target\":\"Portal\",\"actor\":\"jan.admin@example.com\",\"timestamp\":\"2026-01-13T01:00:00Z\"}"
    expect = [{ at = "+0s", key = ["gatebook.auth_service.audit", "jan.admin@example.com"] }]
  }
  test "at eleven in the morning" {
    parser = "auth_service"
    log    = "{\"action\":\"update Client\",\"target\":\"Portal\",\"actor\":\"jan.admin@example.com\",\"timestamp\":\"2026-01-13T11:00:00Z\"}"
    expect = []
  }
}

rule "admin.guessed" {
  title           = "${count()} failed logins of the administrator ${key}"
  description     = "Ten failed logins of an administrator within fifteen minutes."
  severity        = "medium"
  attack          = ["T1110.001"]
  tags            = ["admin", "failures"]
  false_positives = ["a forgotten password"]
  runbook         = "Warn the administrator, see that a second factor is required, block the address."
  when            = failed && admin
  by              = [[gatebook.user.key]]
  window          = "15m"
  fire            = count() >= 10
  quiet           = "12h"

  test "at the administrators' door of the loyalty platform" {
    parser = "activity_log"
    log    = join("\n", [for i in range(12) : "{\"id\":${i},\"log_name\":\"auth\",\"description\":\"Failed login attempt\",\"event\":\"login_failed\",\"subject_type\":null,\"subject_id\":null,\"causer_type\":null,\"causer_id\":null,\"properties\":{\"attributes\":{\"email\":\"nadia@example.org\",\"guard\":\"admin\"}},\"created_at\":\"2026-01-12T10:00:${10 + i}.000000Z\",\"ip_address\":\"203.0.113.140\"}"])
    expect = [{ at = "+9s", key = ["nadia@example.org"] }]
  }
  test "a forgotten password, and guesses at somebody else" {
    events = concat([for i in range(20) : login_failed("+${i}s", "bob", "203.0.113.9")], [for i in range(6) : event("+${i + 1}m", { "event.action" = "login", "event.outcome" = "failure", "gatebook.actor.type" = "admin", "user.name" = "nadia" })])
    expect = []
  }
}

# --- rights ---

rule "admin.role_granted" {
  title           = "${user.name} gave a role or permission to ${key}"
  description     = "A role or permission was given to an account."
  severity        = "low"
  attack          = ["T1098.003"]
  tags            = ["admin", "rights"]
  false_positives = ["new colleagues, new tasks"]
  runbook         = "For the weekly review: was it asked for?"
  when            = event.action == "role-grant" && event.outcome != "failure"
  by              = [[gatebook.user.key]]
  quiet           = "24h"

  test "a row of the auth service" {
    parser = "auth_service"
    log    = "{\"action\":\"update UserRoles\",\"target\":\"bob@example.com\",\"actor\":\"jane.admin@example.com\",\"timestamp\":\"2026-01-12T10:00:00Z\",\"oldEntity\":{\"roles\":[\"viewer\"]},\"newEntity\":{\"roles\":[\"viewer\",\"editor\"]}}"
    expect = [{ at = "+0s", key = ["bob@example.com"] }]
  }
  test "taken away, and a role that is only made" {
    parser = "auth_service"
    log    = <<-EOT
      {"action":"revoke Role","target":"tenant admin","subject":"bob@example.com","actor":"jane.admin@example.com","timestamp":"2026-01-12T10:00:00Z"}
      {"action":"create Role","target":"test role","actor":"jane.admin@example.com","timestamp":"2026-01-12T10:01:00Z"}
    EOT
    expect = []
  }
}

rule "admin.privilege_granted" {
  title           = "${user.name} gave administrator's rights to ${key}"
  description     = "A privileged role (list privileged_roles) or membership in a group of administrators was given to an account."
  severity        = "medium"
  attack          = ["T1098.003", "T1098.007"]
  tags            = ["admin", "rights"]
  false_positives = ["a new administrator"]
  runbook         = "Ask who gave it and why. Take it back where nobody knows; look at what the account did since."
  when            = event.outcome != "failure" && (event.action == "role-grant" && (contains(list.privileged_roles, user.changes.roles) || contains(list.privileged_roles, gatebook.subject.name) || gatebook.target.type == "Role" && contains(list.privileged_roles, gatebook.target.name)) || event.action == "group-member-add" && event.dataset != "linux.auth" && contains(list.privileged_roles, group.name))
  by              = [[gatebook.user.key]]
  quiet           = "24h"

  except "own_name_in_address" {
    when   = contains(gatebook.subject.name, "@") && user.changes.roles == null && gatebook.target.type != "Role"
    reason = "the subject is a person, and an address such as admin@example.com is no role"
  }

  test "super admin" {
    parser = "auth_service"
    log    = "{\"action\":\"grant Role\",\"target\":\"support@example.org\",\"subject\":\"super admin\",\"actor\":\"jan.admin@example.com\",\"timestamp\":\"2026-01-12T10:00:00Z\",\"oldEntity\":{\"roles\":[\"user\"]},\"newEntity\":{\"roles\":[\"user\",\"super admin\"]}}"
    expect = [{ at = "+0s", key = ["support@example.org"] }]
  }
  test "tenant admin, the role as target" {
    parser = "auth_service"
    log    = "{\"action\":\"grant Role\",\"target\":\"tenant admin\",\"subject\":\"bob@example.com\",\"actor\":\"jane.admin@example.com\",\"timestamp\":\"2026-01-12T10:00:00Z\"}"
    expect = [{ at = "+0s", key = ["bob@example.com"] }]
  }
  test "an editor, given by an administrator" {
    parser = "auth_service"
    log    = <<-EOT
      {"action":"update UserRoles","target":"bob@example.com","actor":"jane.admin@example.com","timestamp":"2026-01-12T10:00:00Z","oldEntity":{"roles":["viewer"]},"newEntity":{"roles":["viewer","editor"]}}
      {"action":"add Group Member","target":"Engineering","subject":"mona@example.com","actor":"jane.admin@example.com","timestamp":"2026-01-12T10:01:00Z"}
    EOT
    expect = []
  }
}

# --- what guards the rest ---

rule "admin.identity_provider_changed" {
  title           = "${user.name} changed the identity provider ${gatebook.target.name}"
  description     = "An identity provider was made, changed, switched on or off, or deleted: whoever holds one can log in as anybody."
  severity        = "medium"
  attack          = ["T1484.002", "T1556"]
  tags            = ["admin", "configuration"]
  false_positives = ["a planned change"]
  runbook         = "Compare old and new (gatebook.changes): domains, certificates, addresses. Revert what nobody asked for; look at the logins through it since."
  when            = event.outcome != "failure" && (event.action == "create" || event.action == "update" || event.action == "delete" || event.action == "enable" || event.action == "disable" || event.action == "config-change") && matches(gatebook.target.type, "(?i)identity.?provider|^idp$|federation|saml.?provider|oidc.?provider|^connections?$")
  by              = [[event.dataset, gatebook.target.name]]
  quiet           = "12h"

  test "a domain added" {
    parser = "auth_service"
    log    = "{\"action\":\"update IdentityProvider\",\"target\":\"Google\",\"actor\":\"jane.admin@example.com\",\"timestamp\":\"2026-01-12T10:00:00Z\",\"oldEntity\":{\"domains\":[\"example.com\"]},\"newEntity\":{\"domains\":[\"example.com\",\"example.org\"]}}"
    expect = [{ at = "+0s", key = ["gatebook.auth_service.audit", "Google"] }]
  }
  test "switched off" {
    parser = "auth_service"
    log    = "{\"action\":\"disable IdentityProvider\",\"target\":\"Google\",\"actor\":\"jane.admin@example.com\",\"timestamp\":\"2026-01-12T10:00:00Z\"}"
    expect = [{ at = "+0s", key = ["gatebook.auth_service.audit", "Google"] }]
  }
  test "a template and a client" {
    parser = "auth_service"
    log    = <<-EOT
      {"action":"update Template","target":"login page","actor":"jane.admin@example.com","timestamp":"2026-01-12T10:00:00Z"}
      {"action":"update Client","target":"Portal","actor":"jane.admin@example.com","timestamp":"2026-01-12T10:01:00Z"}
    EOT
    expect = []
  }
}

rule "admin.secret_changed" {
  title           = "${user.name} changed the secret or certificate ${gatebook.target.name}"
  description     = "A client secret, certificate, signing key or token of an application was made, changed or deleted."
  severity        = "medium"
  attack          = ["T1098.001", "T1552"]
  tags            = ["admin", "configuration"]
  false_positives = ["rotation by hand (rotation by a service is left out)"]
  runbook         = "Ask for the ticket. A second secret beside the old one is how intruders stay: remove it, look at what was done with it."
  when            = event.outcome != "failure" && interactive && (event.action == "create" || event.action == "update" || event.action == "delete" || event.action == "disable" || event.action == "config-change") && matches(gatebook.target.type, "(?i)secret|certificate|signing.?key|api.?(token|key)|credential")
  by              = [[event.dataset, user.name]]
  quiet           = "12h"

  test "a client secret" {
    parser = "auth_service"
    log    = "{\"action\":\"create ClientSecret\",\"target\":\"Portal\",\"actor\":\"jane.admin@example.com\",\"timestamp\":\"2026-01-12T10:00:00Z\"}"
    expect = [{ at = "+0s", key = ["gatebook.auth_service.audit", "jane.admin@example.com"] }]
  }
  test "rotated by a service" {
    parser = "auth_service"
    log    = "{\"action\":\"rotate Secret\",\"target\":\"Portal\",\"actor\":\"rotator\",\"actorType\":\"service\",\"timestamp\":\"2026-01-12T10:00:00Z\"}"
    expect = []
  }
  test "an application's name" {
    parser = "auth_service"
    log    = "{\"action\":\"update Client\",\"target\":\"Secret Santa\",\"actor\":\"jane.admin@example.com\",\"timestamp\":\"2026-01-12T10:00:00Z\"}"
    expect = []
  }
}

rule "admin.audit_touched" {
  title           = "${user.name} touched the audit trail: ${event.code}"
  description     = "Audit records or their retention were changed or deleted, or the audit was switched off. Exports are no touch."
  severity        = "high"
  attack          = ["T1562.008", "T1070"]
  tags            = ["admin", "audit"]
  false_positives = ["a retention that was changed on purpose"]
  runbook         = "Nobody should do this without a decision on paper. Look at what the actor did before: that is what was to be hidden. Gatebook's own records of it are kept."
  when            = event.outcome != "failure" && interactive && (event.action == "delete" || event.action == "update" || event.action == "disable" || event.action == "config-change" || event.action == "import") && (matches(gatebook.target.type, "(?i)audit|event.?log|log.?stream|retention") || matches(event.code, "(?i)audit|retention") || matches(message, "(?i)(audit|log)[a-z_. ]*(retention|enabled|days)[a-z_. ]* .* -> ") || matches(gatebook.target.name, "(?i)audit.?(log|trail)|retention"))
  by              = [[event.dataset, user.name]]
  quiet           = "12h"

  test "retention from seven years to a month" {
    parser = "auth_service"
    log    = "{\"action\":\"update TenantSettings\",\"target\":\"example\",\"actor\":\"jan.admin@example.com\",\"timestamp\":\"2026-01-12T10:00:00Z\",\"oldEntity\":{\"auditRetentionDays\":2555},\"newEntity\":{\"auditRetentionDays\":30}}"
    expect = [{ at = "+0s", key = ["gatebook.auth_service.audit", "jan.admin@example.com"] }]
  }
  test "records deleted" {
    parser = "auth_service"
    log    = "{\"action\":\"delete AuditLog\",\"target\":\"2026-01\",\"actor\":\"jan.admin@example.com\",\"timestamp\":\"2026-01-12T10:00:00Z\"}"
    expect = [{ at = "+0s", key = ["gatebook.auth_service.audit", "jan.admin@example.com"] }]
  }
  test "an export, and settings of sessions" {
    parser = "auth_service"
    log    = <<-EOT
      {"action":"export AuditLog","target":"audit.json","actor":"root@example.com","timestamp":"2026-01-12T10:00:00Z"}
      {"action":"update TenantSettings","target":"acme","actor":"jane.admin@example.com","timestamp":"2026-01-12T10:01:00Z","oldEntity":{"sessionMinutes":30},"newEntity":{"sessionMinutes":480}}
    EOT
    expect = []
  }
}

rule "admin.audit_exported" {
  title           = "The audit trail was exported: ${coalesce(user.name, gatebook.job.name)}"
  description     = "Audit records were exported, by an administrator or by a job."
  severity        = "low"
  attack          = ["T1213"]
  tags            = ["admin", "audit", "export"]
  false_positives = ["the regular export for the archive"]
  runbook         = "Exports hold e-mail and IP addresses. Was this the regular one? Where is the file?"
  when            = event.outcome == "success" && (event.action == "export" && matches(gatebook.target.type, "(?i)audit") || event.action == "job-run" && gatebook.job.type == "export" && matches(gatebook.job.name, "(?i)audit"))
  by              = [[event.dataset]]
  quiet           = "12h"

  test "by a job" {
    parser = "auth_service"
    log    = "{\"jobId\":\"job-9\",\"jobName\":\"audit log export\",\"jobType\":\"export\",\"latestStatus\":\"success\",\"message\":\"250000 rows\",\"createdAt\":\"2026-01-12T10:00:00Z\",\"updatedAt\":\"2026-01-12T10:01:00Z\"}"
    expect = [{ at = "+0s", key = ["gatebook.auth_service.job"] }]
  }
  test "other exports, and the trim job" {
    parser = "auth_service"
    log    = <<-EOT
      {"jobId":"job-9","jobName":"user export","jobType":"export","latestStatus":"success","createdAt":"2026-01-12T10:00:00Z","updatedAt":"2026-01-12T10:01:00Z"}
      {"jobId":"job-10","jobName":"audit log trim","jobType":"trim","latestStatus":"success","createdAt":"2026-01-12T10:00:00Z","updatedAt":"2026-01-12T10:02:00Z"}
    EOT
    expect = []
  }
}

rule "admin.mfa_policy_weakened" {
  title           = "${user.name} no longer requires second factors"
  description     = "A setting that requires second factors was switched off."
  severity        = "high"
  attack          = ["T1556.006"]
  tags            = ["admin", "mfa", "configuration"]
  false_positives = ["a test tenant"]
  runbook         = "Switch it on again unless there is a decision on paper. Look at the logins without a second factor since."
  when            = event.outcome != "failure" && (event.action == "config-change" || event.action == "update" || event.action == "disable") && (matches(message, "(?i)(mfa|2fa|two.?factor|second.?factor|totp)[a-z_.]* true -> false") || event.action == "disable" && matches(gatebook.target.type, "(?i)mfa|sign.?on.?policy|two.?factor"))
  by              = [[event.dataset, user.name]]
  quiet           = "12h"

  test "required no more" {
    parser = "auth_service"
    log    = "{\"action\":\"update TenantSettings\",\"target\":\"example\",\"actor\":\"jan.admin@example.com\",\"timestamp\":\"2026-01-12T10:00:00Z\",\"oldEntity\":{\"mfaRequired\":true},\"newEntity\":{\"mfaRequired\":false}}"
    expect = [{ at = "+0s", key = ["gatebook.auth_service.audit", "jan.admin@example.com"] }]
  }
  test "required from now on" {
    parser = "auth_service"
    log    = "{\"action\":\"update TenantSettings\",\"target\":\"example\",\"actor\":\"jan.admin@example.com\",\"timestamp\":\"2026-01-12T10:00:00Z\",\"oldEntity\":{\"mfaRequired\":false},\"newEntity\":{\"mfaRequired\":true}}"
    expect = []
  }
}
