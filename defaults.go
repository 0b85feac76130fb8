package pyth

// Statuses of a Check.
const (
	CheckOK          = "ok"
	CheckDegraded    = "degraded"
	CheckUnavailable = "unavailable"
)
