package agent

import (
	"github.com/gatebook/gatebook/outputs"
	"github.com/gatebook/gatebook/outputs/elastic"
)

// ElasticOutput is an output "elasticsearch" as far as setting up its cluster goes.
type ElasticOutput struct {
	Label     string
	Client    elastic.Config
	Retention elastic.Retention
}

// ElasticOutputs lists the outputs "elasticsearch" of a config without errors.
func (c *Config) ElasticOutputs(env outputs.Env) ([]ElasticOutput, error) {
	env.DataDir, env.Namespace, env.Compile = c.DataDir, c.Namespace, compileWhen
	var list []ElasticOutput
	for _, o := range c.Outputs {
		if o.Kind != "elasticsearch" {
			continue
		}
		opened, _ := o.open(env)
		client, retention, ok := outputs.ElasticSetup(opened)
		if !ok {
			continue
		}
		if err := opened.Close(); err != nil {
			return nil, err
		}
		list = append(list, ElasticOutput{Label: o.Label, Client: client, Retention: retention})
	}
	return list, nil
}
