package event

// EntryCode is one line of the payment portal's table of entries: by what way a user came in.
type EntryCode struct {
	Code   int64
	Name   string
	Action Action
}

// StatusCode is one line of the payment portal's table of statuses: what became of it.
type StatusCode struct {
	Code    int64
	Name    string
	Outcome Outcome
	Action  Action // in place of the entry's; ActionNone leaves that
	OfLogin bool   // Action holds only where the entry is a login
	MFA     bool   // a second factor was in play
}

// PortalEntries is the table of entries, in the portal's own words.
var PortalEntries = []EntryCode{
	{1, "Membership login", Login},
	{2, "Report download", Download},
	{3, "Batch file upload", Upload},
	{4, "Recurring billing", Request},
	{5, "Inventory upload", Upload},
	{6, "HTTPS request", Request},
	{7, "Mobile Login", Login},
	{8, "Reset Password", PasswordReset},
}

// PortalStatuses is the table of statuses, in the portal's own words. There is no status 4.
var PortalStatuses = []StatusCode{
	{Code: 1, Name: "Active", Outcome: Success},
	{Code: 2, Name: "Completed session", Outcome: Success, Action: SessionEnd, OfLogin: true},
	{Code: 3, Name: "Invalid company", Outcome: Failure},
	{Code: 5, Name: "Invalid password", Outcome: Failure},
	{Code: 6, Name: "Idle timeout", Outcome: Success, Action: SessionExpire, OfLogin: true},
	{Code: 7, Name: "Session ended by new login", Outcome: Success, Action: SessionEnd, OfLogin: true},
	{Code: 8, Name: "IP conflict", Outcome: Failure},
	{Code: 9, Name: "Invalid user session", Outcome: Failure},
	{Code: 10, Name: "User Account Disabled", Outcome: Failure},
	{Code: 11, Name: "Merchant Account Disabled", Outcome: Failure},
	{Code: 12, Name: "IP Login Restriction", Outcome: Failure},
	{Code: 13, Name: "Invalid Company/User", Outcome: Failure},
	{Code: 14, Name: "Missing email", Outcome: Failure},
	{Code: 15, Name: "Reset successful", Outcome: Success, Action: PasswordReset},
	{Code: 16, Name: "MFA Disabled", Outcome: Success, Action: MFADisable},
	{Code: 17, Name: "MFA Enabled", Outcome: Success, Action: MFAEnable},
	{Code: 18, Name: "MFA Enrolled", Outcome: Success, Action: MFAEnroll},
	{Code: 19, Name: "MFA Reset", Outcome: Success, Action: MFAReset},
	{Code: 20, Name: "User locked due MFA", Outcome: Failure, Action: AccountLock, MFA: true},
	{Code: 21, Name: "Login successful MFA", Outcome: Success, Action: Login, MFA: true},
	{Code: 22, Name: "Login failed MFA", Outcome: Failure, Action: Login, MFA: true},
	{Code: 23, Name: "Login timeout TOTP", Outcome: Failure, Action: Login, MFA: true},
	{Code: 24, Name: "Login requested MFA", Outcome: Unknown, Action: MFAChallenge, MFA: true},
	{Code: 25, Name: "Valid credential. MFA required", Outcome: Unknown, Action: MFAChallenge, MFA: true},
	{Code: 26, Name: "Invalid MFA validation data", Outcome: Failure, Action: MFAVerify, MFA: true},
}
