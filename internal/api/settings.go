package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// SettingValue describes one setting of the server.
type SettingValue struct {
	_ struct{} `doc:"One setting of the server."`

	Name          string `json:"name" doc:"The name in the settings file." example:"max-running"`
	Value         string `json:"value" doc:"The value that the server uses, as text. Passwords and tokens are masked." example:"16"`
	Origin        string `json:"origin" doc:"Where the value comes from: flag, environment, file or default." example:"file"`
	Source        string `json:"source,omitempty" doc:"The name of the flag or variable, or the file and the line. Absent if the value is the default." example:"/etc/pyth-on/pyth-on.toml:3"`
	Reload        bool   `json:"reload" doc:"Whether the server can change the setting without a restart." example:"true"`
	RestartNeeded bool   `json:"restartNeeded" doc:"Whether the setting has changed since the start of the server and needs a restart." example:"false"`
}

// SettingList contains all settings of the server.
type SettingList struct {
	_ struct{} `doc:"The settings of the server."`

	Settings []SettingValue `json:"settings" doc:"All settings."`
}

type (
	settingsInput  struct{}
	settingsOutput struct{ Body SettingList }
)

func (h *Handler) registerSettings() {
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "listSettings", Method: http.MethodGet, Path: "/api/v1/admin/settings", Summary: "List the settings of the server",
			Description: "Returns the settings that the server uses, and where each value comes from. Secrets are masked.",
		},
		answer: map[string]any{"settings": []any{map[string]any{
			"name": "max-running", "value": "16", "origin": "file", "source": "/etc/pyth-on/pyth-on.toml:3", "reload": true, "restartNeeded": false,
		}}},
	}, ifEnabled(h.cfg.Settings != nil, "settings", h.listSettings))
}

func (h *Handler) listSettings(context.Context, *settingsInput) (*settingsOutput, error) {
	out := &settingsOutput{Body: SettingList{Settings: []SettingValue{}}}
	for _, s := range h.cfg.Settings() {
		out.Body.Settings = append(out.Body.Settings, SettingValue{
			Name: s.Name, Value: s.Value, Origin: s.Origin, Source: s.Source, Reload: s.Reload, RestartNeeded: s.RestartNeeded,
		})
	}
	return out, nil
}
