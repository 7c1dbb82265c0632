package event

// Action is event.action: one closed list, each with its ECS category and type. Adding one is one constant and one line in
// the table. The zero Action is ActionNone, an event about which nothing more is known.
type Action uint8

// The actions.
const (
	ActionNone Action = iota
	Login
	LoginDetail
	Logout
	MFAChallenge
	MFAVerify
	MFAEnroll
	MFAEnable
	MFADisable
	MFAReset
	OTPRequest
	OTPVerify
	PasswordResetRequest
	PasswordReset
	PasswordChange
	AccountLock
	AccountUnlock
	AccountDisable
	AccountEnable
	UserCreate
	UserUpdate
	UserDelete
	GroupCreate
	GroupUpdate
	GroupDelete
	GroupMemberAdd
	GroupMemberRemove
	SessionStart
	SessionEnd
	SessionExpire
	SessionRevoke
	GrantCreate
	GrantExpire
	GrantRevoke
	Create
	Update
	Delete
	Enable
	Disable
	RoleGrant
	RoleRevoke
	Transaction
	Redeem
	Export
	Import
	Download
	Upload
	Request
	JobRun
	NotificationSend
	CommandRun
	PrivilegeUse
	ConnectionOpen
	ConnectionClose
	ServiceStart
	ServiceStop
	SystemStart
	SystemStop
	ConfigChange
	StateChange
	TokenIssue
	MFAChange
	actionCount
)

// ActionInfo is what follows from an action.
type ActionInfo struct {
	Name     string
	Category string // ECS 8.17 event.category; empty for none
	Types    []string
	Meaning  string
}

// actions is the action table. TestActionsAreECS holds each pair of category and type against ECS.
var actions = [actionCount]ActionInfo{
	ActionNone:           {"", "", nil, "recognized or not, nothing about access"},
	Login:                {"login", "authentication", []string{"start"}, "an attempt to log in; one attempt is one event"},
	LoginDetail:          {"login-detail", "authentication", []string{"info"}, "a companion line of an attempt (PAM, invalid user, preauth); never counted as an attempt"},
	Logout:               {"logout", "authentication", []string{"end"}, "the user logged out"},
	MFAChallenge:         {"mfa-challenge", "authentication", []string{"info"}, "a second factor was asked for"},
	MFAVerify:            {"mfa-verify", "authentication", []string{"info"}, "a second factor was checked"},
	MFAEnroll:            {"mfa-enroll", "iam", []string{"user", "change"}, "a second factor was set up"},
	MFAEnable:            {"mfa-enable", "iam", []string{"user", "change"}, "second factors were switched on"},
	MFADisable:           {"mfa-disable", "iam", []string{"user", "change"}, "second factors were switched off"},
	MFAReset:             {"mfa-reset", "iam", []string{"user", "change"}, "second factors were reset"},
	OTPRequest:           {"otp-request", "authentication", []string{"info"}, "a one-time code was asked for"},
	OTPVerify:            {"otp-verify", "authentication", []string{"info"}, "a one-time code was checked"},
	PasswordResetRequest: {"password-reset-request", "iam", []string{"user", "info"}, "a password reset was asked for"},
	PasswordReset:        {"password-reset", "iam", []string{"user", "change"}, "a password was reset"},
	PasswordChange:       {"password-change", "iam", []string{"user", "change"}, "a password was changed"},
	AccountLock:          {"account-lock", "iam", []string{"user", "change"}, "an account was locked"},
	AccountUnlock:        {"account-unlock", "iam", []string{"user", "change"}, "an account was unlocked"},
	AccountDisable:       {"account-disable", "iam", []string{"user", "change"}, "an account was disabled"},
	AccountEnable:        {"account-enable", "iam", []string{"user", "change"}, "an account was enabled"},
	UserCreate:           {"user-create", "iam", []string{"user", "creation"}, "an account was made"},
	UserUpdate:           {"user-update", "iam", []string{"user", "change"}, "an account was changed"},
	UserDelete:           {"user-delete", "iam", []string{"user", "deletion"}, "an account was deleted"},
	GroupCreate:          {"group-create", "iam", []string{"group", "creation"}, "a group was made"},
	GroupUpdate:          {"group-update", "iam", []string{"group", "change"}, "a group was changed"},
	GroupDelete:          {"group-delete", "iam", []string{"group", "deletion"}, "a group was deleted"},
	GroupMemberAdd:       {"group-member-add", "iam", []string{"group", "change"}, "a user was added to a group"},
	GroupMemberRemove:    {"group-member-remove", "iam", []string{"group", "change"}, "a user was taken out of a group"},
	SessionStart:         {"session-start", "session", []string{"start"}, "a session began"},
	SessionEnd:           {"session-end", "session", []string{"end"}, "a session ended"},
	SessionExpire:        {"session-expire", "session", []string{"end"}, "a session ended by time"},
	SessionRevoke:        {"session-revoke", "session", []string{"end"}, "a session was ended by somebody else"},
	GrantCreate:          {"grant-create", "iam", []string{"user", "change"}, "a consent or token grant was given"},
	GrantExpire:          {"grant-expire", "iam", []string{"user", "change"}, "a grant ended by time"},
	GrantRevoke:          {"grant-revoke", "iam", []string{"user", "change"}, "a grant was taken back"},
	Create:               {"create", "configuration", []string{"creation"}, "something was made"},
	Update:               {"update", "configuration", []string{"change"}, "something was changed"},
	Delete:               {"delete", "configuration", []string{"deletion"}, "something was deleted"},
	Enable:               {"enable", "configuration", []string{"change"}, "something was switched on"},
	Disable:              {"disable", "configuration", []string{"change"}, "something was switched off"},
	RoleGrant:            {"role-grant", "iam", []string{"admin", "change"}, "a role or permission was given"},
	RoleRevoke:           {"role-revoke", "iam", []string{"admin", "change"}, "a role or permission was taken"},
	Transaction:          {"transaction", "web", []string{"access"}, "a business transaction"},
	Redeem:               {"redeem", "web", []string{"access"}, "a reward was redeemed"},
	Export:               {"export", "file", []string{"access"}, "data was exported"},
	Import:               {"import", "file", []string{"creation"}, "data was imported"},
	Download:             {"download", "file", []string{"access"}, "a file or report was downloaded"},
	Upload:               {"upload", "file", []string{"creation"}, "a file was uploaded"},
	Request:              {"request", "web", []string{"access"}, "a request"},
	JobRun:               {"job-run", "process", []string{"info"}, "a scheduled or background job"},
	NotificationSend:     {"notification-send", "email", []string{"info"}, "a notification was sent"},
	CommandRun:           {"command-run", "process", []string{"start"}, "a command was run"},
	PrivilegeUse:         {"privilege-use", "process", []string{"info"}, "another identity or more rights were taken on"},
	ConnectionOpen:       {"connection-open", "network", []string{"connection", "start"}, "a connection was opened"},
	ConnectionClose:      {"connection-close", "network", []string{"connection", "end"}, "a connection was closed"},
	ServiceStart:         {"service-start", "process", []string{"start"}, "a service started"},
	ServiceStop:          {"service-stop", "process", []string{"end"}, "a service stopped"},
	SystemStart:          {"system-start", "host", []string{"start"}, "the system started"},
	SystemStop:           {"system-stop", "host", []string{"end"}, "the system is going down"},
	ConfigChange:         {"config-change", "configuration", []string{"change"}, "a setting was changed"},
	StateChange:          {"state-change", "host", []string{"change"}, "a state was changed"},
	TokenIssue:           {"token-issue", "authentication", []string{"info"}, "a token was issued, renewed or exchanged; no attempt to log in of its own"},
	MFAChange:            {"mfa-change", "iam", []string{"user", "change"}, "a second factor was changed for another"},
}

// Info returns what follows from the action.
func (a Action) Info() ActionInfo {
	if a >= actionCount {
		a = ActionNone
	}
	return actions[a]
}

// String is event.action.
func (a Action) String() string { return a.Info().Name }

// Actions lists all actions in order, without ActionNone.
func Actions() []Action {
	list := make([]Action, 0, actionCount-1)
	for a := ActionNone + 1; a < actionCount; a++ {
		list = append(list, a)
	}
	return list
}

// ActionByName finds an action by event.action.
func ActionByName(name string) (Action, bool) {
	a, ok := actionsByName[name]
	return a, ok
}

var actionsByName = func() map[string]Action {
	m := make(map[string]Action, actionCount)
	for _, a := range Actions() {
		m[actions[a].Name] = a
	}
	return m
}()
