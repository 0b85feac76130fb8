package main

import (
	"bytes"
	"fmt"
	"time"

	"github.com/pyth-on/pyth-on/internal/app"
)

// modelFlags selects the model that writes programs. There is no flag for the API key
// of the model, because all users of the machine can read the arguments of a process.
type modelFlags struct {
	Model            string        `default:"${model}" help:"The model that writes programs."`
	AnthropicBaseURL string        `name:"anthropic-base-url" env:"PYTH_ON_ANTHROPIC_BASE_URL,ANTHROPIC_BASE_URL" placeholder:"URL" help:"URL of the Messages API of a gateway or of a compatible server (default: the URL of Anthropic's API)."`
	AnthropicKeyFile string        `name:"anthropic-key-file" type:"existingfile" help:"File with the API key for the model. Instead of a file, you can set ANTHROPIC_API_KEY to the key."`
	ModelForm        string        `default:"schema" enum:"schema,tool" help:"How the server enforces the format of the model's answer. With 'schema', the request contains a JSON schema. With 'tool', the model must answer with a tool call. Use 'tool' for models and servers that do not support JSON schemas."`
	GenerateTimeout  time.Duration `default:"3m" help:"Time-out for one answer from the model."`
}

// generateFlags selects the models of a server and limits their use.
type generateFlags struct {
	modelFlags
	Models               []string `help:"Models that a request may select in addition to --model (default: all models)."`
	GenerateTokensPerDay int64    `default:"500000" help:"Maximum number of model tokens per user and day, for input and output together. The value 0 means no limit."`
}

// config converts the flags to the configuration of the model. The field Key is empty
// if no key is set.
func (f *modelFlags) config() (app.ModelConfig, error) {
	key, err := secretSetting(anthropicKeyVariable, f.AnthropicKeyFile, "--anthropic-key-file")
	return app.ModelConfig{
		Key: key, Model: f.Model, BaseURL: f.AnthropicBaseURL, Form: f.ModelForm, Timeout: f.GenerateTimeout,
	}, err
}

func (f *generateFlags) config() (app.ModelConfig, error) {
	c, err := f.modelFlags.config()
	c.Others, c.TokensPerDay = f.Models, f.GenerateTokensPerDay
	return c, err
}

// secretSetting reads a key from an environment variable or from a file. If neither is
// set, the key is empty. If both are set, secretSetting returns an error.
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
