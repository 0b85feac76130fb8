package main

import (
	"errors"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/pyth-on/pyth-on/internal/settings"
)

// defaultSettingsFile is the path of the default settings file. Commands that use a
// server's data read this file if --config is not set and the file exists.
const defaultSettingsFile = "/etc/pyth-on/pyth-on.toml"

// noSettingsFile is the value of --config that means "no settings file".
const noSettingsFile = "off"

// settingsFile is a kong.Resolver that returns the values of flags from the settings
// file. Flags on the command line and environment variables override these values.
type settingsFile struct {
	// file is nil if the command uses no settings file.
	file *settings.File
	// texts contains the values in the settings file, by the name of the flag.
	texts map[string]string
}

var _ kong.Resolver = (*settingsFile)(nil)

// load reads the file that --config selects. It checks all names in the file, and the
// values of the flags of this command.
func (f *settingsFile) load(context *kong.Context) error {
	command := context.Selected()
	if command == nil {
		return nil
	}
	path, err := settingsPath(context, command)
	if path == "" || err != nil {
		return err
	}
	if f.file, err = settings.Read(path); err != nil {
		return err
	}
	all := allSettings(context.Model.Node)
	known := make([]string, len(all))
	for i, flag := range all {
		known[i] = flag.Name
	}
	errs := []error{f.file.Check(known)}
	f.texts = map[string]string{}
	for _, flag := range command.Flags {
		if !f.file.Has(flag.Name) || !isSetting(flag, all) {
			continue
		}
		text, err := f.text(flag)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		f.texts[flag.Name] = text
	}
	return settings.Join(errs...)
}

// settingsPath returns the path of the settings file. It returns "" if the command uses
// no settings file.
func settingsPath(context *kong.Context, command *kong.Node) (string, error) {
	for _, flag := range context.Model.Flags {
		if flag.Name != "config" {
			continue
		}
		switch path, _ := context.FlagValue(flag).(string); path {
		case "":
		case noSettingsFile:
			return "", nil
		default:
			return path, nil
		}
	}
	// Commands without a data directory, for example `run`, do not use the settings of
	// a server. So they do not read the settings file.
	if !slices.ContainsFunc(command.Flags, func(f *kong.Flag) bool { return f.Name == "data-dir" }) {
		return "", nil
	}
	_, err := os.Stat(defaultSettingsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return defaultSettingsFile, err
}

// isSetting reports whether the list "all" contains a setting with the same name and
// the same variables as the flag.
func isSetting(flag *kong.Flag, all []*kong.Flag) bool {
	return slices.ContainsFunc(all, func(s *kong.Flag) bool { return s.Name == flag.Name && slices.Equal(s.Envs, flag.Envs) })
}

// text returns the text that the settings file contains for the flag. It returns an
// error if this text is not a valid value of the flag.
func (f *settingsFile) text(flag *kong.Flag) (string, error) {
	d := define(flag)
	text, err := f.file.Text(&d)
	if err != nil {
		return "", err
	}
	// If a flag of the type existingfile is already marked as set, Kong returns an
	// empty value for this flag. So remove the mark while Kong parses the value.
	set := flag.Set
	flag.Set = false
	defer func() { flag.Set = set }()
	target := reflect.New(flag.Target.Type()).Elem()
	if err := flag.Parse(kong.Scan().PushTyped(text, kong.FlagValueToken), target); err != nil {
		// Remove "--" from the error text of Kong, which begins with "--" and the name of
		// the flag. The settings file contains names without "--".
		return "", f.file.Errorf(flag.Name, "%s", strings.TrimPrefix(err.Error(), "--"))
	}
	if flag.Name == "database" && settings.Mask(text) != text {
		return "", f.file.Errorf(flag.Name, "the settings file must not contain a password; write the URL of the database into a file that only the server's user can read, and set database-file to the path of this file")
	}
	return text, nil
}

// The method "sets" reports whether the settings file contains a value for the flag.
func (f *settingsFile) sets(flag *kong.Flag) bool {
	_, ok := f.texts[flag.Name]
	return ok
}

// Validate implements kong.Resolver.
func (f *settingsFile) Validate(*kong.Application) error { return nil }

// Resolve returns the value of the flag in the settings file. Kong calls Resolve only
// for flags that are not on the command line.
func (f *settingsFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if text, ok := f.texts[flag.Name]; ok && variableOf(flag) == "" {
		return text, nil
	}
	return nil, nil
}
