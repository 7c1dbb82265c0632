package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/agent"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/outputs"
	"github.com/gatebook/gatebook/outputs/elastic"
)

func setupCommand() *cobra.Command {
	var o setupOptions
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Prepare Elasticsearch, OpenSearch and Kibana",
		Long: `setup installs in Elasticsearch or OpenSearch what Gatebook's data streams need: mappings, lifecycle, ingest pipeline, roles; and in
Kibana data views, saved searches and dashboards. It may be run again and again: it changes what is missing, old or other than asked for, and never
what it did not make. docs/elasticsearch.md says what and why.

The clusters are those of the outputs "elasticsearch" in the config, or --elasticsearch. With --kibana and neither --config nor --elasticsearch only Kibana
is prepared. Credentials come from --api-key-file, or --username and --password-file, or the environment: GATEBOOK_SETUP_API_KEY, or
GATEBOOK_SETUP_USERNAME and GATEBOOK_SETUP_PASSWORD; else the output's own, or ES_API_KEY.`,
		Example: `  gatebook setup --config /etc/gatebook/gatebook.hcl --username elastic --password-file /root/elastic.password
  gatebook setup --elasticsearch https://es1:9200 --ca ca.pem --retention 90d --retention auth_service.audit=7y --dry-run
  gatebook setup --kibana https://kibana:5601 --space security --api-key-file kibana.key --rules
  gatebook setup --elasticsearch https://es1:9200 --username admin --password-file admin.password --agent-key web1 --expires 365d > web1.key
  gatebook setup --print ./elasticsearch`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.configGiven = cmd.Flags().Changed("config")
			return o.run(cmd)
		},
	}
	f := cmd.Flags()
	configFlag(cmd, &o.config)
	f.StringSliceVar(&o.hosts, "elasticsearch", nil, "URL of a host of the cluster, in place of the config's outputs; may be repeated")
	f.StringVar(&o.kibana, "kibana", "", "URL of Kibana: data views, saved searches and dashboards are imported")
	f.StringVar(&o.space, "space", "", "Kibana space (default: the default space)")
	f.BoolVar(&o.rules, "rules", false, "import the detection rules into Kibana too, to run there")
	f.BoolVar(&o.alerts, "alerts", false, "import the one rule that makes an alert of Kibana of each alert of Gatebook's own rules")
	f.StringVar(&o.keyFile, "api-key-file", "", "file that holds an API key")
	f.StringVar(&o.username, "username", "", "user name, with --password-file")
	f.StringVar(&o.passwordFile, "password-file", "", "file that holds the password")
	f.StringVar(&o.ca, "ca", "", "PEM file of the authority that signed the servers' certificates")
	f.StringArrayVar(&o.retention, "retention", nil, "how long data are kept: 90d for all, DATASET=7y for one, DATASET=default for no own time; may be repeated")
	f.StringVar(&o.lifecycle, "lifecycle", "auto", "who deletes old data: "+strings.Join(elastic.Lifecycles, ", ")+" (dsl is data stream lifecycle; auto takes what the cluster has)")
	f.StringVar(&o.namespace, "namespace", "", "namespace of the data streams that --agent-key and Kibana's objects are about (default: all)")
	f.BoolVar(&o.dryRun, "dry-run", false, "only say what would be done")
	f.StringVar(&o.print, "print", "", "write all requests into this folder, and send none")
	f.StringVar(&o.agentKey, "agent-key", "", "only make an API key of this name for an agent, which may append and nothing else, and print it")
	f.BoolVar(&o.lookup, "lookup", false, "with --agent-key: it may read too, so that nothing is sent twice across a rollover")
	f.StringVar(&o.expires, "expires", "", "with --agent-key: how long it is good for (default: for ever)")
	return cmd
}

type setupOptions struct {
	config, kibana, space, keyFile, username, passwordFile, ca, lifecycle, namespace, print, agentKey, expires string

	hosts, retention                           []string
	configGiven, rules, alerts, dryRun, lookup bool
	apiKey, password                           string
	keep                                       elastic.Retention
	cycle                                      elastic.Lifecycle
	expiry                                     time.Duration
}

// run checks the flags, which take exit code 2, and goes to work.
func (o *setupOptions) run(cmd *cobra.Command) error {
	if err := o.check(); err != nil {
		return usageError{err}
	}
	if o.print != "" {
		return o.printAll(cmd)
	}
	if err := o.credentials(); err != nil {
		return err
	}
	var clusters []agent.ElasticOutput
	if o.kibana == "" || o.configGiven || len(o.hosts) > 0 {
		var err error
		if clusters, err = o.clusters(cmd); err != nil {
			return err
		}
	}
	if o.agentKey != "" {
		return o.makeKey(cmd, clusters)
	}
	var failed error
	for _, c := range clusters {
		name := ""
		if len(clusters) > 1 {
			name = c.Label + ": "
		}
		if err := o.prepare(cmd, c, name); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%sset up Elasticsearch: %w", name, err))
		}
	}
	if o.kibana != "" {
		if err := o.prepareKibana(cmd); err != nil {
			failed = errors.Join(failed, fmt.Errorf("set up Kibana: %w", err))
		}
	}
	return failed
}

func (o *setupOptions) check() error {
	var err error
	if o.keep, err = parseRetention(o.retention); err != nil {
		return err
	}
	if o.cycle, err = elastic.ParseLifecycle(o.lifecycle); err != nil {
		return fmt.Errorf("--lifecycle %q: %w", o.lifecycle, err)
	}
	if o.expires != "" {
		if o.expiry, err = conf.ParseDuration(o.expires); err != nil || o.expiry < time.Hour {
			return fmt.Errorf("--expires %q: want a duration of an hour or more, such as 90d", o.expires)
		}
	}
	if len(o.hosts) > 0 {
		if _, err := elastic.ParseHosts(o.hosts); err != nil {
			return fmt.Errorf("--elasticsearch: %w", err)
		}
	}
	if o.namespace != "" && !agent.ValidNamespace(o.namespace) {
		return fmt.Errorf("--namespace %q: lower-case letters, digits, '_' and '.', and no '-'", o.namespace)
	}
	switch {
	case o.keyFile != "" && (o.username != "" || o.passwordFile != ""):
		return errors.New("--api-key-file and --username: one of them is enough")
	case o.passwordFile != "" && o.username == "":
		return errors.New("--password-file without --username")
	case o.agentKey == "" && (o.lookup || o.expires != ""):
		return errors.New("--lookup and --expires go with --agent-key")
	case o.agentKey != "" && (o.print != "" || o.dryRun || o.kibana != ""):
		return errors.New("--agent-key only makes a key: leave --print, --dry-run and --kibana out")
	case o.rules && o.alerts:
		return errors.New("--rules and --alerts: each finding would be told twice, by Gatebook and by Kibana; choose one")
	case (o.rules || o.alerts) && o.kibana == "" && o.print == "":
		return errors.New("--rules and --alerts go to Kibana: say --kibana URL")
	}
	return nil
}

// parseRetention reads the values of --retention.
func parseRetention(flags []string) (elastic.Retention, error) {
	r := elastic.Retention{ByDataset: map[string]time.Duration{}}
	for _, f := range flags {
		dataset, text, ok := strings.Cut(f, "=")
		if !ok {
			dataset, text = "default", f
		}
		dataset = strings.TrimPrefix(dataset, event.DatasetPrefix)
		if text == "default" && dataset != "default" {
			r.ByDataset[dataset] = 0
			continue
		}
		d, err := conf.ParseDuration(text)
		if err != nil || d <= 0 {
			return r, fmt.Errorf("--retention %q: want 90d, or DATASET=7y, or DATASET=default", f)
		}
		if dataset == "default" {
			r.Default = d
		} else {
			r.ByDataset[dataset] = d
		}
	}
	return r, r.Check()
}

// credentials reads what was given for this run.
func (o *setupOptions) credentials() error {
	read := func(path string) (string, error) {
		b, err := os.ReadFile(path)
		return strings.TrimSpace(string(b)), err
	}
	var err error
	switch {
	case o.keyFile != "":
		o.apiKey, err = read(o.keyFile)
	case o.passwordFile != "":
		o.password, err = read(o.passwordFile)
	case o.username != "":
		if o.password = os.Getenv("GATEBOOK_SETUP_PASSWORD"); o.password == "" {
			return usageError{errors.New("--username: say --password-file too, or set GATEBOOK_SETUP_PASSWORD")}
		}
	case os.Getenv("GATEBOOK_SETUP_API_KEY") != "":
		o.apiKey = os.Getenv("GATEBOOK_SETUP_API_KEY")
	default:
		o.username, o.password = os.Getenv("GATEBOOK_SETUP_USERNAME"), os.Getenv("GATEBOOK_SETUP_PASSWORD")
	}
	if err != nil {
		return fmt.Errorf("read credentials: %w", err)
	}
	if len(o.hosts) > 0 || o.kibana != "" {
		if o.apiKey == "" && o.username == "" {
			o.apiKey = os.Getenv("ES_API_KEY")
		}
	}
	return nil
}

// clusters are the clusters to prepare, with the credentials for it.
func (o *setupOptions) clusters(cmd *cobra.Command) ([]agent.ElasticOutput, error) {
	list := []agent.ElasticOutput{{Label: "elasticsearch", Client: elastic.Config{Hosts: o.hosts}}}
	if len(o.hosts) == 0 {
		c, err := loadConfig(cmd, o.config, agent.LoadOptions{Logger: logger(cmd), SkipRules: true})
		if err != nil {
			return nil, err
		}
		if list, err = c.ElasticOutputs(outputs.Env{Version: version, Logger: logger(cmd)}); err != nil {
			return nil, err
		}
		if len(list) == 0 {
			return nil, fmt.Errorf(`%s has no output "elasticsearch": say --elasticsearch URL`, o.config)
		}
	}
	for i := range list {
		c := &list[i].Client
		if o.apiKey != "" || o.username != "" {
			c.APIKey, c.Username, c.Password = o.apiKey, o.username, o.password
		}
		c.CA = cmp.Or(o.ca, c.CA)
		c.UserAgent = "gatebook/" + version
		keep := &list[i].Retention
		keep.Default = cmp.Or(o.keep.Default, keep.Default)
		if keep.ByDataset == nil {
			keep.ByDataset = map[string]time.Duration{}
		}
		for dataset, d := range o.keep.ByDataset {
			keep.ByDataset[dataset] = d
		}
	}
	return list, nil
}

// prepare sets one cluster up.
func (o *setupOptions) prepare(cmd *cobra.Command, c agent.ElasticOutput, name string) error {
	client, err := elastic.New(c.Client)
	if err != nil {
		return err
	}
	defer client.Close()
	steps, err := client.Setup(cmd.Context(), elastic.SetupOptions{Retention: c.Retention, Lifecycle: o.cycle, Roles: true, DryRun: o.dryRun})
	for _, s := range steps {
		fmt.Fprintln(cmd.OutOrStdout(), printable(name+s.String(), 1000))
	}
	return withRemedy(err)
}

// withRemedy says what a person can do about it.
func withRemedy(err error) error {
	var re *elastic.RequestError
	if !errors.As(err, &re) {
		return err
	}
	remedy := elastic.Remedy(err)
	if re.Status == 403 {
		remedy = "what the role gatebook_setup may do is enough, and manage_security where roles are to be installed"
	}
	if remedy == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, remedy)
}

// makeKey prints the key of an agent.
func (o *setupOptions) makeKey(cmd *cobra.Command, clusters []agent.ElasticOutput) error {
	if len(clusters) != 1 {
		return usageError{fmt.Errorf("--agent-key: the config has %d clusters; say which with --elasticsearch", len(clusters))}
	}
	client, err := elastic.New(clusters[0].Client)
	if err != nil {
		return err
	}
	defer client.Close()
	key, err := client.CreateAgentKey(cmd.Context(), elastic.AgentKey{Name: o.agentKey, Lookup: o.lookup, Expires: o.expiry, Namespace: o.namespace})
	if err != nil {
		return withRemedy(err)
	}
	fmt.Fprintln(cmd.OutOrStdout(), key)
	return nil
}

// printAll writes the requests as files.
func (o *setupOptions) printAll(cmd *cobra.Command) error {
	keep := o.keep
	if o.configGiven {
		list, err := o.clusters(cmd)
		if err != nil {
			return err
		}
		keep = list[0].Retention
	}
	list := elastic.Requests(elastic.SetupOptions{Retention: keep})
	more, err := o.kibanaRequests(cmd)
	if err != nil {
		return err
	}
	list = append(list, more...)
	write := func(name string, body []byte) error {
		path := filepath.Join(o.print, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, body, 0o644)
	}
	for _, r := range list {
		if err := write(r.File, r.Body); err != nil {
			return err
		}
	}
	if err := write("README.md", elastic.Readme(list)); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %d requests; README.md lists them\n", o.print, len(list))
	return nil
}
