package main

import (
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"github.com/pyth-on/pyth-on/internal/settings"
)

// These are tags of flags. A flag of a server or worker is a setting, unless it has the
// tag "action". The tag "reload" marks a setting that a running server can change. The
// tag "unit" contains the unit of an integer.
const (
	actionTag = "action"
	reloadTag = "reload"
	unitTag   = "unit"
)

// settingsOf returns the flags of the command that are settings.
func settingsOf(command *kong.Node) []*kong.Flag {
	var flags []*kong.Flag
	for _, flag := range command.Flags {
		if flag.Name != "help" && flag.Tag != nil && !flag.Tag.Has(actionTag) {
			flags = append(flags, flag)
		}
	}
	return flags
}

// allSettings returns all flags of a server and of a worker that are settings.
func allSettings(app *kong.Node) []*kong.Flag {
	var flags []*kong.Flag
	for _, name := range []string{"serve", "worker"} {
		for _, flag := range settingsOf(commandNamed(app, name)) {
			if !slices.ContainsFunc(flags, func(f *kong.Flag) bool { return f.Name == flag.Name }) {
				flags = append(flags, flag)
			}
		}
	}
	return flags
}

func commandNamed(app *kong.Node, name string) *kong.Node {
	i := slices.IndexFunc(app.Children, func(n *kong.Node) bool { return n.Name == name })
	return app.Children[i]
}

// define returns the description of a setting. The flag sets this setting.
func define(flag *kong.Flag) settings.Definition {
	d := settings.Definition{
		Name: flag.Name, Variables: flag.Envs, Kind: kindOf(flag), Default: flag.Default, Unit: flag.Tag.Get(unitTag),
		Help: flag.Help, Reload: flag.Tag.Has(reloadTag),
	}
	if flag.Enum != "" {
		d.Values = flag.EnumSlice()
	}
	return d
}

func kindOf(flag *kong.Flag) settings.Kind {
	switch flag.Target.Interface().(type) {
	case bool:
		return settings.Switch
	case time.Duration:
		return settings.Duration
	case slog.Level:
		return settings.Level
	case []string, []netip.Prefix:
		return settings.List
	case map[string]string:
		return settings.Map
	case string:
		if flag.Tag.Type == "path" || flag.Tag.Type == "existingfile" {
			return settings.Path
		}
		return settings.Text
	}
	if flag.Target.CanInt() {
		return settings.Integer
	}
	return settings.Text
}

// The function "current" returns the values of the command's settings, and where each
// value comes from. It masks secrets in URLs. Parse the command line before you call
// this function.
func current(context *kong.Context, file *settingsFile) []settings.Setting {
	var list []settings.Setting
	for _, flag := range settingsOf(context.Selected()) {
		s := settings.Setting{
			Name: flag.Name, Value: settings.Mask(settings.Format(flag.Target.Interface())), Reload: flag.Tag.Has(reloadTag),
		}
		s.Origin, s.Source = originOf(context, file, flag)
		list = append(list, s)
	}
	return append(list, secretVariables()...)
}

func originOf(context *kong.Context, file *settingsFile, flag *kong.Flag) (origin settings.Origin, source string) {
	for _, path := range context.Path {
		if path.Flag == flag && !path.Resolved {
			return settings.FromFlag, "--" + flag.Name
		}
	}
	if variable := variableOf(flag); variable != "" {
		return settings.FromEnvironment, variable
	}
	if file.sets(flag) {
		return settings.FromFile, file.file.Place(flag.Name)
	}
	return settings.FromDefault, ""
}

// variableOf returns the name of the environment variable that sets the flag. It
// returns "" if no variable sets the flag.
func variableOf(flag *kong.Flag) string {
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return name
		}
	}
	return ""
}

// secretVariables returns the settings that contain secrets. Only environment variables
// can set them, and they have no flags.
func secretVariables() []settings.Setting {
	var list []settings.Setting
	for _, name := range serverSecrets() {
		if _, ok := os.LookupEnv(name); ok {
			list = append(list, settings.Setting{Name: name, Value: settings.Masked, Origin: settings.FromEnvironment, Source: name})
		}
	}
	return list
}

// The function "same" returns true if two values of a flag are equal.
func same(a, b *kong.Flag) bool {
	return reflect.DeepEqual(a.Target.Interface(), b.Target.Interface())
}
