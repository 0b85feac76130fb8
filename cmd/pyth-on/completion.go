package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: ${enum}."`
}

func (*completionCommand) Help() string {
	return "For bash, add to ~/.bashrc: source <(pyth-on completion bash). For zsh, add to ~/.zshrc: source <(pyth-on completion zsh). " +
		"For fish, run: pyth-on completion fish >~/.config/fish/completions/pyth-on.fish"
}

// completionScripts maps each shell to its completion script. The script calls `pyth-on
// complete` with the words before the cursor. If this command prints no candidates, the
// script completes file names.
var completionScripts = map[string]string{
	"bash": `_pyth_on() {
    local IFS=$'\n'
    COMPREPLY=($(compgen -W "$(pyth-on complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _pyth_on pyth-on
`,
	"zsh": `#compdef pyth-on
_pyth_on() {
    local -a candidates
    candidates=("${(@f)$(pyth-on complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    candidates=("${(@)candidates:#}")
    if (( ${#candidates} )); then compadd -- "${candidates[@]}"; else _files; fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
compdef _pyth_on pyth-on
`,
	"fish": `function __pyth_on
    pyth-on complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null
end
complete -c pyth-on -a '(__pyth_on)'
`,
}

func (c *completionCommand) Run() error {
	_, err := fmt.Fprint(os.Stdout, completionScripts[c.Shell])
	return err
}

// completeCommand prints the possible completions for the last word of an incomplete
// command line.
type completeCommand struct {
	Words []string `arg:"" optional:"" passthrough:""`
}

func (c *completeCommand) Run(p *parsed) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	for _, candidate := range complete(p.parser.Model.Node, words) {
		if _, err := fmt.Fprintln(os.Stdout, candidate); err != nil {
			return err
		}
	}
	return nil
}

// complete returns the possible completions of the last word: commands, flags, or
// values of a flag.
func complete(node *kong.Node, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	flags := slices.Clone(node.Flags)
	var pending *kong.Flag // The next word is the value of this flag.
	for _, word := range words[:len(words)-1] {
		switch {
		case pending != nil:
			pending = nil
		case strings.HasPrefix(word, "-"):
			pending = takesValue(flags, word)
		default:
			i := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == word && !n.Hidden })
			if i < 0 {
				continue // The word is an argument.
			}
			node = node.Children[i]
			flags = append(flags, node.Flags...)
		}
	}
	var all []string
	switch {
	case pending != nil:
		all = pending.EnumSlice()
		if pending.Enum == "" {
			all = nil
		}
	case strings.HasPrefix(last, "-"):
		for _, f := range flags {
			if !f.Hidden {
				all = append(all, "--"+f.Name)
			}
		}
	default:
		for _, n := range node.Children {
			if !n.Hidden {
				all = append(all, n.Name)
			}
		}
		if len(node.Positional) > 0 && node.Positional[0].Enum != "" {
			all = append(all, node.Positional[0].EnumSlice()...)
		}
	}
	return slices.DeleteFunc(all, func(s string) bool { return !strings.HasPrefix(s, last) })
}

// takesValue returns the flag that the word names if this flag needs a value. The next
// word is then the value.
func takesValue(flags []*kong.Flag, word string) *kong.Flag {
	for _, f := range flags {
		if (word == "--"+f.Name || f.Short != 0 && word == "-"+string(f.Short)) && !f.IsBool() {
			return f
		}
	}
	return nil
}
