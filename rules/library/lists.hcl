# What a site knows and Gatebook cannot. A list of the same name in rules.d takes the place of the one here; the rules that need an
# empty list keep quiet until it is filled.

# User names whose holders administer something. Sources that say so themselves (actor type admin) need no entry.
list "admins" {
  values = []
}

# Accounts of programs: left out where a rule is about what people do.
list "service_accounts" {
  values = []
}

# Applications that only administrators log in to.
list "admin_applications" {
  values = ["Admin UI", "Admin Console", "security-admin-console", "Okta Admin Console"]
}

# Applications that nobody should enter outside business hours. The name in it is there for the test of the rule.
list "sensitive_applications" {
  values = ["example.sensitive-application"]
}

# Networks of the company: logins from there are neither travel nor a new place.
list "office_networks" {
  kind   = "cidr"
  values = []
}

# Autonomous systems that the company's VPN and proxies come out of: where an address is says nothing of where its user is.
list "vpn_asn" {
  values = []
}

# Addresses of the company's own vulnerability scanners: their guesses are not counted.
list "scanners" {
  kind   = "cidr"
  values = []
}

# Kinds of records of which each one deleted is worth a look.
list "critical_records" {
  values = ["cards", "stamp_cards", "rewards", "members"]
}

# Groups whose members rule a Linux machine.
list "admin_groups" {
  values = ["sudo", "wheel", "admin", "root", "docker", "lxd", "disk", "shadow"]
}

# Roles that carry more than their holder's own data.
list "privileged_roles" {
  kind   = "regex"
  values = ["(?i)(^|[^a-z])(super|admin|administrator|owner|root|operator|security)([^a-z]|$)", "(?i)admin$", "(?i)^(realm-admin|manage-users|impersonation)$"]
}

# Names that every machine on the internet is asked for. Guesses at them are counted by address, and told by account only once one succeeds.
list "scanned_accounts" {
  values = ["root", "admin", "administrator", "test", "user", "guest", "oracle", "postgres", "mysql", "pi", "ubnt", "ubuntu", "debian", "ec2-user",
  "git", "ftp", "ftpuser", "www-data", "nagios", "hadoop", "jenkins", "deploy", "support", "service"]
}

# Reasons of failed logins (event.reason, in small letters) by which sources say that there is no such account. A site whose application uses other words
# adds them: what is not in here counts as an attempt at an existing account.
list "unknown_account_reasons" {
  values = ["invalid user", "illegal user", "unknown user", "no such user", "user not found", "user_not_found", "user unknown", "user does not exist",
  "account not found", "unknown account", "nonexistent user", "invalid company", "invalid company/user"]
}

# Reasons that say that the account is there and may not be used any more.
list "disabled_account_reasons" {
  values = ["user account disabled", "merchant account disabled", "account disabled", "account is disabled", "user disabled", "user_disabled", "user is disabled",
  "account suspended", "user suspended", "account inactive", "account deactivated", "user account has expired", "account expired", "expired (account expired)"]
}

# Reasons that say that the address may not be used.
list "address_refused_reasons" {
  values = ["ip login restriction", "not from a permitted host", "ip not allowed", "ip address not allowed", "address not allowed", "ip restricted"]
}

# What calls itself so is a program and not a browser.
list "script_clients" {
  kind   = "regex"
  values = ["(?i)^(curl|wget|python|go-http-client|okhttp|java|libwww-perl|httpie|postmanruntime|ruby|axios|node-fetch|hydra|sqlmap|nikto|zgrab|masscan)"]
}

# --- words that several rules use ---

define "failed" {
  when = event.action == "login" && event.outcome == "failure" && !contains(list.scanners, source.ip)
}

define "ok" {
  when = event.action == "login" && event.outcome == "success"
}

# The source says that there is no such account.
define "unknown_account" {
  when = contains(list.unknown_account_reasons, lower(event.reason))
}

# A person and not a program.
define "interactive" {
  when = gatebook.actor.type != "service" && !contains(list.service_accounts, user.name)
}

define "admin" {
  when = gatebook.actor.type == "admin" || contains(list.admins, user.name) || contains(list.admin_applications, gatebook.client.name) || contains(list.admin_applications, gatebook.client.id)
}

# A second factor that was checked; some sources say it with the login, others beside it.
define "factor_ok" {
  when = event.outcome == "success" && (event.action == "mfa-verify" || event.action == "otp-verify" || event.action == "login" && gatebook.mfa.used == true)
}

define "factor_failed" {
  when = event.outcome == "failure" && (event.action == "mfa-verify" || event.action == "otp-verify" || event.action == "login" && gatebook.mfa.used == true)
}

define "factor_asked" {
  when = event.action == "mfa-challenge" || event.action == "otp-request"
}

define "deletion" {
  when = (event.action == "delete" || event.action == "user-delete" || event.action == "group-delete") && event.outcome != "failure" && interactive
}

define "taken_out" {
  when = (event.action == "export" || event.action == "download") && event.outcome != "failure" && interactive
}
