package api

import (
	"strings"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/problem"
)

// Enumerations of the API. Each enumeration is a component of the OpenAPI document. So a
// generated client has only one type for each enumeration.
type (
	// Language is a programming language.
	Language string
	// ExecutionStatus describes how a run ended.
	ExecutionStatus string
	// ExecutionState is the phase of a run: queued, running or ended.
	ExecutionState string
	// ContentState says whether code and output of a run are stored.
	ContentState string
	// Isolation determines whether a sandbox may be used again after a run.
	Isolation string
	// Encoding determines how the content of a file is encoded in JSON.
	Encoding string
	// Verdict is the decision about a connection, for example "denied".
	Verdict string
	// Outcome describes how an audited action ended.
	Outcome string
	// AuditAction is the name of an audited action.
	AuditAction string
	// CredentialType is a kind of credential.
	CredentialType string
	// HealthStatus is the state of the server or of one of its parts.
	HealthStatus string
	// WebhookEvent names an event of webhooks.
	WebhookEvent string
	// DeliveryState is the phase of a delivery: pending, delivered or failed.
	DeliveryState string
	// UsageGroup determines the groups of a usage report: days, languages or API
	// keys.
	UsageGroup string
	// QuotaName is the name of a quota.
	QuotaName string
	// Scope is a scope of API keys.
	Scope string
	// KeyFormat is the form of an API key.
	KeyFormat string
	// Role determines the rights of a user.
	Role string
	// ErrorCode identifies a kind of error.
	ErrorCode string
)

// Enumeration values that the root package does not define.
const (
	encodingUTF8   Encoding = "utf8"
	encodingBase64 Encoding = "base64"

	statusOK          HealthStatus = pyth.CheckOK
	statusDegraded    HealthStatus = pyth.CheckDegraded
	statusUnavailable HealthStatus = pyth.CheckUnavailable
)

// enumSchema returns a schema that refers to the component of an enumeration. If the
// registry does not contain this component, enumSchema adds it.
func enumSchema[T ~string](registry huma.Registry, name, description string, values ...T) *huma.Schema {
	components := registry.Map()
	if components[name] == nil {
		s := &huma.Schema{Type: huma.TypeString, Description: description}
		for _, v := range values {
			s.Enum = append(s.Enum, string(v))
		}
		s.PrecomputeMessages()
		components[name] = s
	}
	return &huma.Schema{Ref: schemaPrefix + name}
}

// Schema returns a schema that refers to the component Scope.
func (Scope) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "Scope", "A set of operations that an API key allows.", pyth.Scopes()...)
}

// Schema returns a schema that refers to the component KeyFormat.
func (KeyFormat) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "KeyFormat",
		"The format of an API key. `pyapi`: the usual format. `e2b`: the prefix e2b_ and hexadecimal digits, for clients of E2B.", pyth.KeyFormats()...)
}

// Schema returns a schema that refers to the component Language.
func (Language) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "Language", "A programming language.", pyth.Languages()...)
}

// Schema returns a schema that refers to the component ExecutionStatus.
func (ExecutionStatus) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "ExecutionStatus",
		"How a run ended. `succeeded`: the program exited with 0. `failed`: the program exited with another code, raised an uncaught exception, or was ended by a signal that it caused. "+
			"`timed_out`, `out_of_memory` and `output_limit`: the program exceeded a limit. `killed`: SIGKILL ended the program, but the program exceeded no limit. `canceled`: the caller ended the run.",
		pyth.Statuses()...)
}

// Schema returns a schema that refers to the component ExecutionState.
func (ExecutionState) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "ExecutionState",
		"The state of a run. `queued`: the program has not started. `running`: the program has started. `ended`: the run has ended and does not change any more.",
		pyth.ExecutionStates()...)
}

// Schema returns a schema that refers to the component ContentState.
func (ContentState) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "ContentState",
		"Whether the server has the code and the output of a run. `stored`: the server has both. `none`: the request or a setting of the server turned the storage off, or the program was encrypted. "+
			"`omitted`: the code and output were too large, or the server had no memory for them. `expired`: the server deleted the code and output after the retention period.",
		pyth.ContentStates()...)
}

// Schema returns a schema that refers to the component Isolation.
func (Isolation) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "Isolation",
		"Whether the server uses the sandbox again. `tenant`: later runs of the same user may use the sandbox. `execution`: the server destroys the sandbox after the run.",
		pyth.IsolationTenant, pyth.IsolationExecution)
}

// Schema returns a schema that refers to the component Encoding.
func (Encoding) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "Encoding",
		"How the content of a file is encoded. `utf8`: as text. `base64`: in standard base64 with padding (RFC 4648, section 4).",
		encodingUTF8, encodingBase64)
}

// Schema returns a schema that refers to the component Verdict.
func (Verdict) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "Verdict",
		"What happened to a connection. `allowed`: the connection was established. `denied`: the rules of the run or of the server forbid the connection. `failed`: the connection could not be established.",
		"allowed", "denied", "failed")
}

// Schema returns a schema that refers to the component Outcome.
func (Outcome) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "Outcome",
		"How an action ended. `success`: the action succeeded. `denied`: the caller was not allowed to do the action. `failure`: the action failed for another reason.",
		pyth.AuditOutcomes()...)
}

// Schema returns a schema that refers to the component AuditAction.
func (AuditAction) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "AuditAction", "An action. Each action has an entry in the audit log.", pyth.Actions()...)
}

// Schema returns a schema that refers to the component CredentialType.
func (CredentialType) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "CredentialType", "How the caller authenticated.", pyth.CredentialJWT, pyth.CredentialAPIKey, pyth.CredentialNone)
}

// Schema returns a schema that refers to the component HealthStatus.
func (HealthStatus) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "HealthStatus",
		"The state of the server or a dependency. `ok`: everything works. `degraded`: it works with restrictions. `unavailable`: the server or the dependency does not work.",
		statusOK, statusDegraded, statusUnavailable)
}

// Schema returns a schema that refers to the component WebhookEvent.
func (WebhookEvent) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "WebhookEvent",
		"An event that webhooks receive. `execution.started`: a program has started. If a synchronous run ends within about two seconds, the server does not send this event. `execution.ended`: a run has ended, even if it was canceled before its program started.",
		pyth.WebhookEvents()...)
}

// Schema returns a schema that refers to the component DeliveryState.
func (DeliveryState) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "DeliveryState",
		"The state of a delivery. `pending`: the server will send it, or send it again. `delivered`: the receiver accepted it. `failed`: the server does not try again.",
		pyth.DeliveryStates()...)
}

// Schema returns a schema that refers to the component UsageGroup. The extension
// x-enum-varnames tells client generators which names to use for the values. Without the
// extension, oapi-codegen would use the name Language for a value. This name is already
// the name of a type.
func (UsageGroup) Schema(r huma.Registry) *huma.Schema {
	ref := enumSchema(r, "UsageGroup",
		"The grouping of usage. `day`: one group for each day in UTC. `language`: one group for each language. `key`: one group for each API key that started programs.",
		pyth.UsageOrders()...)
	names := make([]string, 0, len(pyth.UsageOrders()))
	for _, order := range pyth.UsageOrders() {
		names = append(names, "UsageBy"+strings.ToUpper(string(order[:1]))+string(order[1:]))
	}
	r.Map()["UsageGroup"].Extensions = map[string]any{"x-enum-varnames": names}
	return ref
}

// Schema returns a schema that refers to the component QuotaName.
func (QuotaName) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "QuotaName",
		"A quota of a user. `executions_per_day`: runs on the current day in UTC. `cpu_ms_per_day`: processor time of runs on this day, in milliseconds. `memory_mib_ms_per_day`: memory of runs on this day, in MiB multiplied by milliseconds. `generate_tokens_per_day`: model tokens on this day. `storage_bytes`: the size of stored code and output. "+
			"`executions`: running programs. `sessions`, `reservations`, `secrets`, `encrypted_programs` and `webhooks`: existing objects. "+
			"`python_packages` and `node_packages`: installed packages with their dependencies. `python_package_bytes` and `node_package_bytes`: the size of these packages.",
		pyth.QuotaNames()...)
}

// Schema returns a schema that refers to the component Role.
func (Role) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "Role", "What a user may do. An `admin` may also administer the server.", pyth.Roles()...)
}

// Schema returns a schema that refers to the component ErrorCode.
func (ErrorCode) Schema(r huma.Registry) *huma.Schema {
	all := problem.Catalog()
	codes := make([]pyth.Code, len(all))
	for i, t := range all {
		codes[i] = t.Code
	}
	return enumSchema(r, "ErrorCode", "A kind of error. The meaning of a code never changes. /docs/errors describes all codes.", codes...)
}
