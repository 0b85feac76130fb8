package worker

import (
	"context"
	"fmt"
	"io"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/link"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// call is one call of a server to this worker. The context of the call ends when the
// server cancels the call, or when the server is lost.
type call struct {
	worker *Worker
	link   *link.Link
	ctx    context.Context
	cancel context.CancelFunc
}

// The method "handle" serves a call whose first message is m. If the method returns an
// error, the server receives this error.
func (c *call) handle(m *wire.Message) error {
	switch m.Kind {
	case wire.KindRun:
		if err := c.worker.enter(); err != nil {
			return err
		}
		// While the worker stops, it must wait until the server has received the
		// outcome.
		defer func() {
			c.link.Delivered()
			c.worker.leave()
		}()
		return c.run(m)
	case wire.KindOpenSession:
		return c.openSession(m)
	case wire.KindCloseSession, wire.KindFiles, wire.KindWrite, wire.KindRead, wire.KindDelete:
		return c.useSession(m)
	case wire.KindStream:
		return c.stream(m)
	case wire.KindReserve:
		return c.reserve(m)
	default:
		return wire.ErrInvalid
	}
}

func (c *call) send(kind wire.Kind, meta any, blobs ...[]byte) error {
	m, err := wire.Encode(kind, meta, blobs...)
	if err != nil {
		return err
	}
	// Do not use the context of the call here. If the server cancels a run, it still
	// receives the output and the outcome. If the server is lost, the link ends.
	return c.link.Send(context.WithoutCancel(c.ctx), m)
}

func (c *call) receive() (*wire.Message, error) {
	b, err := c.link.Receive(c.ctx, wire.MaxSmallMessage)
	if err != nil {
		return nil, err
	}
	return wire.Decode(b)
}

// The method "watch" cancels the call when the server cancels the run, or when the link
// ends. If the server allows the program to start, the method sends the server's
// message to the channel "released".
func (c *call) watch(released chan<- *wire.Release) {
	for {
		b, err := c.link.Receive(context.WithoutCancel(c.ctx), wire.MaxSmallMessage)
		if err != nil {
			c.cancel()
			return
		}
		m, err := wire.Decode(b)
		switch {
		case err == nil && m.Kind == wire.KindRelease:
			r := new(wire.Release)
			if m.Into(r) != nil {
				c.cancel()
				break
			}
			select {
			case released <- r:
			default: // The server may release a run only once.
			}
		default:
			c.cancel()
		}
	}
}

// run executes a job from a server.
func (c *call) run(m *wire.Message) error {
	run, err := wire.DecodeRun(m)
	if err != nil {
		return err
	}
	if run.Trace == "" {
		return c.runJob(run)
	}
	ctx, span := c.worker.config.Tracer.Begin(c.ctx, run.Trace, "worker.run", tracing.Server)
	c.ctx = ctx
	err = c.runJob(run)
	span.End(err)
	return err
}

func (c *call) runJob(run *wire.Run) (err error) {
	job := &run.Job
	if len(run.Password) > 0 {
		if job.Encrypted == nil {
			return wire.ErrInvalid
		}
		if job.Encrypted.Password, err = c.open(run.Password, job.ID); err != nil {
			return err
		}
		defer clear(job.Encrypted.Password)
	}
	if job.Tenant != "" {
		defer c.worker.count(c.link.Peer(), job.Tenant)()
	}
	if err := c.fetchLayers(job.Layers); err != nil {
		return err
	}
	released := make(chan *wire.Release, 1)
	go c.watch(released)
	if job.Session != "" {
		leave, err := c.takeTurn(job.Session)
		if err != nil {
			return err
		}
		defer leave()
	}
	// Even a job without secrets waits for the release, because the server decides when
	// the program starts.
	job.SecretsFollow = true
	var events pyth.Events
	if run.Events {
		events = &forwarder{c}
	}
	started, err := c.worker.config.Host.Start(c.ctx, job, events)
	if err != nil {
		return err
	}
	if err := c.send(wire.KindAccepted, nil); err != nil {
		started.Abandon()
		return err
	}
	select {
	case r := <-released:
		return c.release(started, job, r)
	case <-c.ctx.Done():
		started.Abandon()
		return c.ctx.Err()
	}
}

func (c *call) open(sealed []byte, run pyth.ExecutionID) ([]byte, error) {
	return c.worker.key.Open(sealed, c.link.Peer(), c.worker.node.ID(), run)
}

// release starts the program and sends the outcome to the server.
func (c *call) release(started pyth.Run, job *pyth.Job, r *wire.Release) error {
	var secrets []pyth.SecretValue
	if len(r.Secrets) > 0 {
		plain, err := c.open(r.Secrets, job.ID)
		if err == nil {
			secrets, err = wire.DecodeSecrets(plain)
		}
		defer clear(plain)
		if err != nil {
			started.Abandon()
			return err
		}
	}
	outcome, err := started.Release(c.ctx, secrets)
	if err != nil {
		return err
	}
	if outcome.SessionEnded {
		c.worker.closeSession(job.Session)
	}
	c.sendOutcome(outcome)
	return nil
}

// sendOutcome sends the outcome of a run. It returns no error, because the server would
// run the job again after an error.
func (c *call) sendOutcome(outcome *pyth.Outcome) {
	m, err := wire.EncodeOutcome(outcome)
	if err != nil {
		c.worker.config.Logger.Error("could not send the outcome of a run", "error", err)
		c.link.Close()
		return
	}
	_ = c.link.Send(context.WithoutCancel(c.ctx), m) // Ignore the error: if Send fails, the server is lost.
}

// forwarder sends the events of a run to the server. If the server reads slowly, the
// program has to wait.
type forwarder struct{ call *call }

// Started does nothing, because the server itself has released the run and does not need
// the event.
func (f *forwarder) Started(pyth.ExecutionID) error { return nil }

func (f *forwarder) Output(stream pyth.Stream, b []byte) error {
	return f.call.send(wire.KindOutput, stream, b)
}

func (f *forwarder) Result(r pyth.Result) error { return f.call.send(wire.KindResult, r) }

func (f *forwarder) File(x pyth.File) error { return f.call.send(wire.KindFile, x.Path, x.Content) }

// fetchLayers downloads layers (sets of packages) from the server if they are missing
// on this worker.
func (c *call) fetchLayers(layers pyth.Layers) error {
	for _, layer := range layers {
		if layer == "" {
			continue
		}
		images := c.worker.config.Images
		images.Use(layer)
		if images.Complete(layer) {
			continue
		}
		if err := c.fetchLayer(layer); err != nil {
			return fmt.Errorf("get packages: %w", err)
		}
	}
	return nil
}

func (c *call) fetchLayer(layer pyth.LayerID) error {
	if err := c.send(wire.KindNeedLayer, wire.NeedLayer{ID: layer}); err != nil {
		return err
	}
	m, err := c.receive()
	if err != nil {
		return err
	}
	manifest := new(imagestore.Manifest)
	switch m.Kind {
	case wire.KindLayer:
		if err := m.Into(manifest); err != nil {
			return err
		}
	case wire.KindFailed:
		return wire.DecodeFailure(m)
	default:
		return context.Canceled
	}
	return c.worker.config.Images.Import(c.ctx, layer, manifest, func(i *imagestore.ManifestImage, to io.Writer) error {
		if err := c.send(wire.KindNeedImage, wire.NeedImage{Layer: layer, Key: i.Key}); err != nil {
			return err
		}
		return c.copyContent(to)
	})
}

// copyContent receives the content of a file from the server, and writes the content to
// the given writer.
func (c *call) copyContent(to io.Writer) error {
	for {
		m, err := c.receive()
		if err != nil {
			return err
		}
		switch m.Kind {
		case wire.KindContent:
			for _, b := range m.Blobs {
				if _, err := to.Write(b); err != nil {
					return err
				}
			}
		case wire.KindEnd:
			return nil
		case wire.KindFailed:
			return wire.DecodeFailure(m)
		default:
			return context.Canceled
		}
	}
}
