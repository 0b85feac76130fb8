package main

import (
	"bytes"
	"fmt"
	"time"

	"github.com/pyth-on/pyth-on/internal/app"
)

// modelFlags select the model that writes programs. The key has no flag, because
// every user can read the arguments of a process.
type modelFlags struct {
	Model            string        `default:"${model}" help:"The model that writes programs."`
	AnthropicBaseURL string        `name:"anthropic-base-url" env:"PYTH_ON_ANTHROPIC_BASE_URL,ANTHROPIC_BASE_URL" placeholder:"URL" help:"Address of the Messages API: a gateway or a compatible server (default: Anthropic's)."`
	AnthropicKeyFile string        `name:"anthropic-key-file" type:"existingfile" help:"File with the API key. ANTHROPIC_API_KEY, with the key, can replace it."`
	ModelForm        string        `default:"schema" enum:"schema,tool" help:"How the form of the answer is enforced: by a JSON schema, or by a forced tool call for models and servers without schemas (${enum})."`
	GenerateTimeout  time.Duration `default:"3m" help:"Time-out of one answer of the model."`
}

// generateFlags are the model flags of a server.
type generateFlags struct {
	modelFlags
	Models               []string `help:"Further models that a request may name (default: any)."`
	GenerateTokensPerDay int64    `default:"500000" help:"Maximum number of model tokens per user and day, input and output together; 0 for no limit."`
}

// config reads the key. The key is empty if none is configured.
func (f *modelFlags) config() (app.ModelConfig, error) {
	key, err := secretSetting(anthropicKeyVariable, f.AnthropicKeyFile, "--anthropic-key-file")
	return app.ModelConfig{
		Key: key, Model: f.Model, BaseURL: f.AnthropicBaseURL, Form: f.ModelForm, Timeout: f.GenerateTimeout,
	}, err
}

// config reads the key.
func (f *generateFlags) config() (app.ModelConfig, error) {
	c, err := f.modelFlags.config()
	c.Others, c.TokensPerDay = f.Models, f.GenerateTokensPerDay
	return c, err
}

// secretSetting reads a key from a variable or a file. It is empty if neither is
// given.
func secretSetting(variable, path, flag string) ([]byte, error) {
	setting, given, err := hiddenSetting(variable)
	if err != nil {
		return nil, err
	}
	setting = bytes.TrimSpace(setting)
	if path == "" {
		return setting, nil
	}
	if given && len(setting) > 0 {
		return nil, fmt.Errorf("both %s and %s are set; choose one", variable, flag)
	}
	key, err := onlyLine(path, "key")
	return []byte(key), err
}
