// Command proto writes the Go code of E2B's services from their descriptions in
// internal/e2b/envd. It needs no protoc. Run it in its folder, with `go run .`, after a
// change of a .proto file.
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/pluginpb"
)

// envd is the folder with one folder for each service.
const envd = "../../internal/e2b/envd"

// plugins maps each tool that writes code to its parameters.
var plugins = map[string]string{
	"protoc-gen-go":         "paths=source_relative",
	"protoc-gen-connect-go": "paths=source_relative,simple=true,package_suffix",
}

func main() {
	for _, file := range []string{"process/process.proto", "filesystem/filesystem.proto"} {
		for plugin, parameter := range plugins {
			if err := generate(file, plugin, parameter); err != nil {
				log.Fatalf("%s: %s: %v", file, plugin, err)
			}
		}
	}
}

// generate writes the code of one file with one tool.
func generate(file, plugin, parameter string) error {
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{envd}}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), file)
	if err != nil {
		return err
	}
	request, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{file}, Parameter: &parameter,
		ProtoFile: []*descriptorpb.FileDescriptorProto{
			protoutil.ProtoFromFileDescriptor(timestamppb.File_google_protobuf_timestamp_proto),
			protoutil.ProtoFromFileDescriptor(files[0]),
		},
	})
	if err != nil {
		return err
	}
	command := exec.Command("go", "tool", plugin)
	command.Stdin, command.Stderr = bytes.NewReader(request), os.Stderr
	output, err := command.Output()
	if err != nil {
		return err
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(output, &response); err != nil {
		return err
	}
	if response.Error != nil {
		return fmt.Errorf("%s", *response.Error)
	}
	for _, f := range response.File {
		if err := os.WriteFile(filepath.Join(envd, f.GetName()), []byte(f.GetContent()), 0o600); err != nil {
			return err
		}
	}
	return nil
}
