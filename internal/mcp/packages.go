package mcp

import (
	"context"
	"fmt"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyth-on/pyth-on/client"
)

// packageAddInput is the input of package_add.
type packageAddInput struct {
	Package  string `json:"package" jsonschema:"A name with an optional version constraint, for example numpy>=2 or lodash@^4."`
	Language string `json:"language,omitempty" jsonschema:"python: a package from PyPI. javascript: a package from npm, also for TypeScript. Default: python."`
}

// packageOutput describes an installed package.
type packageOutput struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Language  string `json:"language"`
	SizeBytes int64  `json:"size_bytes"`
}

func (s *Server) addPackages() {
	closed, open := false, true
	add(s, tool[packageAddInput, packageOutput]{
		Tool: &sdk.Tool{
			Name: "package_add", Title: "Install a package",
			Description: "Installs a package from PyPI or npm with its dependencies, for all later runs and sessions of the account. " +
				"Takes seconds to minutes. Sessions that are already open do not get the package: open a new session. pip install in the sandbox does not work.",
			Annotations: &sdk.ToolAnnotations{DestructiveHint: &closed, IdempotentHint: true, OpenWorldHint: &open},
		},
		limits: func(p properties) {
			lengths(p["package"], 200)
			oneOf(p["language"], "python", "javascript", "typescript")
		},
		run: addPackage,
	})
}

func addPackage(ctx context.Context, c *call, in *packageAddInput) (*sdk.CallToolResult, *packageOutput, error) {
	progress, stop := c.watch(ctx)
	defer stop()
	added, err := c.AddPackage(ctx, client.Language(in.Language), in.Package, func(step, detail string) {
		progress.add(step + " " + detail + "\n")
	})
	stop()
	if err != nil {
		return nil, nil, err
	}
	out := &packageOutput{Name: added.Name, Version: added.Version, Language: string(added.Language), SizeBytes: added.SizeBytes}
	return text(fmt.Sprintf("Installed %s %s for %s. New runs and sessions can import it.", out.Name, out.Version, out.Language)), out, nil
}
