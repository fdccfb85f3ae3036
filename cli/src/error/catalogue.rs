//! The catalogue of errors that a user can cause or meet: code, exit code, title, cure and a paragraph each.
//!
//! docs/errors.md is generated from it; it must not format or print.

/// The exit codes, a contract with scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Error = 1,
    /// `plan` and `diff` found something to change, and were asked to say so by their exit.
    Changes = 2,
    NotReady = 3,
    CheckFailed = 4,
    /// The guard did not let the cluster in.
    Refused = 5,
    Locked = 6,
    GeneratorLimited = 7,
    Unreachable = 8,
    Usage = 64,
    Config = 65,
    Interrupted = 130,
    Terminated = 143,
}

/// One entry of the catalogue.
#[derive(Debug)]
pub struct Entry {
    /// As in `KD0201`; never reused for another meaning.
    pub code: &'static str,
    pub exit: Exit,
    pub title: &'static str,
    /// What to do, for the case that the place of the error knows nothing better.
    pub hint: &'static str,
    /// What it means and why it happens.
    pub text: &'static str,
}

macro_rules! catalogue {
    ($($name:ident $code:literal $exit:ident $title:literal, $hint:literal, $text:literal;)*) => {
        /// Name of a catalogue entry.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $($name),* }

        impl Code {
            /// Every entry, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            pub fn entry(self) -> &'static Entry {
                match self {
                    $(Self::$name => &Entry { code: $code, exit: Exit::$exit, title: $title, hint: $hint, text: $text }),*
                }
            }
        }
    };
}

catalogue! {
    Io "KD0001" Error "a file or stream could not be used",
        "check that the named path exists and that you may read and write it",
        "The operating system refused a file, folder or stream that the command needs. The message names the path and the reason.";
    Internal "KD0002" Error "kedactl failed in a way it does not expect",
        "run it again with -vv and report what it printed",
        "Something inside kedactl broke a promise of its own. Nothing of yours is wrong; the log of `-vv` shows where it happened.";
    Interrupted "KD0003" Interrupted "the command was interrupted",
        "run it again: every command can be repeated",
        "Ctrl-C ended the command. What it had started is left in a state from which the same command goes on.";
    Terminated "KD0004" Terminated "the command was told to end",
        "run it again: every command can be repeated",
        "SIGTERM ended the command. What it had started is left in a state from which the same command goes on.";
    Usage "KD0101" Usage "the command line is wrong",
        "`kedactl help COMMAND` lists what is accepted",
        "An option has a value that cannot be meant: an unknown stage, rate, objective, time or payload. The message quotes the place.";
    Config "KD0102" Config "the configuration is wrong",
        "`kedactl config schema` lists every key, `kedactl config show --origin` says where each value comes from",
        "A values file, --set or the combination of layers is not a valid configuration. Every problem is listed with file, line and, for an unknown key, the nearest name.";
    Template "KD0103" Config "a template does not make a valid manifest",
        "mend the named template of your project, or remove it to use the embedded one",
        "A template asks for a value that does not exist, or what it renders is not a valid Kubernetes object: strict mode refuses missing names and unknown fields.";
    NoStateRoot "KD0104" Error "there is no folder for the state of stacks",
        "set HOME, XDG_STATE_HOME or KEDACTL_STATE_DIR, or pass --state-dir DIR",
        "kedactl keeps each stack's state below $XDG_STATE_HOME/kedactl, or ~/.local/state/kedactl. None of the variables that lead there is set.";
    Manifest "KD0105" Config "a file cannot be checked as a manifest",
        "mend the place that is named; templates of a chart must be rendered first (`helm template`)",
        "The file is too large, is not YAML, or holds something that is no Kubernetes object: each document needs apiVersion and kind.";
    PortTaken "KD0201" Error "a port that must be this one is taken",
        "stop the program that holds it, or choose another with --set api.port=PORT",
        "The API's port is promised to the outside, so kedactl does not move it by itself. Ports inside the stack move by themselves when they are taken.";
    ProgramMissing "KD0202" Error "a program that the stack needs is not installed",
        "install it (`apt-get install redis-server`), or name it in the values under local.programs",
        "The local provider starts redis-server (or valkey-server) and the services as processes; a cluster needs helm, and kind where the cluster is made. One of these programs is neither in PATH nor beside kedactl.";
    ForeignStack "KD0203" Error "the state belongs to somebody else",
        "choose another stack with --stack NAME, or another folder with --state-dir DIR",
        "The stack's folder, or a process that looks like part of it, belongs to another user or another installation. kedactl never signals a process that is not certainly its own.";
    Locked "KD0204" Locked "another run holds the stack",
        "wait until it ends, or stop it",
        "A stack is changed by one command at a time. The message says which process holds the lock.";
    NotReady "KD0205" NotReady "the stack was not ready in time",
        "`kedactl logs` shows why; `kedactl up --timeout 3m` waits longer; `kedactl down` stops what runs",
        "Everything was started, but something did not become ready before the time-out. The message names it with the end of its log. What runs is left running, so that it can be looked at.";
    NoStack "KD0206" Error "no stack runs here",
        "`kedactl up` starts one; `--stack NAME` and `--state-dir DIR` choose another",
        "The command looks at a running stack, and there is no record of one under this name in this state folder.";
    StaleState "KD0207" Error "the stack's state cannot be read",
        "`kedactl down --purge` removes the state and the data of the stack; move its folder away to keep them",
        "The recorded state was written by another version or is damaged. kedactl does not guess what it meant.";
    Supervisor "KD0208" Error "the stack's supervisor failed",
        "`kedactl logs supervisor` shows why; `kedactl up` starts it again and takes over what still runs",
        "The background process that keeps the stack ended by itself or does not answer. The services go on without it, but nothing is scaled or restarted.";
    Leftover "KD0209" Error "something of the stack could not be removed",
        "the message names it; run `kedactl down` again, or remove it by hand",
        "After everything was stopped, a process or file of the stack was still there.";
    Redis "KD0301" Error "Redis did not answer as it should",
        "`kedactl status` shows the nodes and their roles; `kedactl doctor` checks them",
        "No Redis master could be found or used. During a fail-over this lasts a few seconds; if it stays, a quorum of Sentinels or every data node is down.";
    Failover "KD0302" Error "the fail-over did not happen",
        "`kedactl status` must show a replica that is online; then try again",
        "Sentinel refused the fail-over or the new master was not there in time. Sentinel refuses while another fail-over is under way and when no good replica exists.";
    NoTask "KD0303" Error "there is no such queue or task",
        "`kedactl queue ls` lists the queues, `kedactl queue dead` the dead tasks",
        "The name is well-formed, but nothing is stored under it: a task that ended is kept only as long as its result.";
    NoGroup "KD0304" Error "there is no such group of alerts",
        "`kedactl alerts ls` lists those that a chat is not shown yet",
        "The id is well-formed, and the outbox has nothing under it that could be tried again or forgotten: it was shown meanwhile, or an operator took it off.";
    NoAlertmanager "KD0305" Error "Alertmanager cannot be used",
        "`kedactl up --with monitoring` brings one; `kedactl status` and `kedactl logs alertmanager` show how it is",
        "The command hands an alert to the stack's Alertmanager, and there is none, it cannot be reached, or it refused.";
    SloMissed "KD0401" CheckFailed "an objective was missed",
        "the table above shows each objective beside what was measured",
        "The run was carried out and measured, and at least one --slo does not hold.";
    TasksLost "KD0402" CheckFailed "accepted tasks were lost or never finished",
        "the audit lists how many; `kedactl queue ls` and `kedactl logs worker` show where they could be",
        "Some task got a 202 from the API, and no execution of it was seen before the drain time-out.";
    Failing "KD0403" CheckFailed "no request succeeded",
        "the table above shows what was answered; check the path, the method and the payload",
        "The target answers, but every answer was a failure, so latencies would mean nothing.";
    GeneratorLimited "KD0404" GeneratorLimited "the load generator itself was the limit",
        "lower --rps, or free a core for kedactl",
        "Requests left later than their schedule, so the figures speak about this machine and not about the target. Such a run never passes.";
    Unreachable "KD0405" Unreachable "the target does not answer",
        "`kedactl status` shows whether the API is ready; check the address",
        "No connection could be made, or no request got any answer, from the first one to the last.";
    Findings "KD0501" CheckFailed "doctor found something to mend",
        "each finding above has its cure",
        "At least one check failed. Warnings alone do not fail the command.";
    LintFindings "KD0502" CheckFailed "the manifests break rules",
        "each finding above has its cure; docs/lint.md explains every rule, and how an object accepts one with a reason",
        "`kedactl lint` found something of the level that was asked for. What is accepted by a written reason at the object does not count.";
    Check "KD0503" CheckFailed "a check of the stack failed",
        "the message says what was seen; `kedactl status` and `kedactl doctor` show the parts",
        "Everything is up, but the platform did not do what it is for: the proof that `kedactl up --verify` makes, or a check at the end of a run, failed.";
    ImageBuild "KD0601" Error "an image cannot be built from what was named",
        "name programs of this machine: ELF files whose libraries are installed",
        "An image is a program with its loader and its libraries. The program is no ELF file, is for another machine, or needs a library that is not installed.";
    NoImage "KD0602" Error "no such image was built",
        "`kedactl images list` shows what is there, `kedactl images build` makes the platform's",
        "Images are loaded and pushed from the folder that `kedactl images build` fills. It has no image of this name, or none at all.";
    ImageDamaged "KD0603" CheckFailed "a built image is damaged",
        "run `kedactl images build` again, which replaces what is spoilt; else remove the folder first",
        "Every blob of an image has its SHA-256 as its name. A file has other bytes than its name says, is too short, or is missing; such an image is neither loaded nor pushed.";
    NotLoaded "KD0604" Error "a node does not have the image",
        "look at containerd on that node (`crictl info`, its log, free disk), then run it again",
        "After the missing blobs and then the whole archive were sent, the node still does not name the right digest with all of its content. What was cut or changed on the way never counts as loaded.";
    NoNode "KD0605" Error "a node cannot be reached",
        "`docker ps` must show the node's container running; --engine names another program",
        "Commands on a node run through its container's engine or its containerd's socket. There is no such node, the engine does not answer, or there is no containerd in it.";
    Registry "KD0606" Error "a registry refused",
        "check the name and `docker login REGISTRY`; the cause above has the registry's own words",
        "The registry could not be reached, did not let us in, refused a blob or a manifest, or gave back other bytes than were pushed. Plain HTTP is spoken to this machine alone.";
    Kubeconfig "KD0701" Error "the kubeconfig cannot be used",
        "name a file with --kubeconfig FILE and one of its contexts with --context NAME",
        "The file is missing or damaged, lacks the context, or has several and none was named: kedactl never acts on whatever context happens to be the current one.";
    ClusterApi "KD0702" Unreachable "the API server did not do what was asked",
        "check that the cluster runs and that you may do this: the message has its answer",
        "The cluster could not be reached, or refused. The chain of causes has the API server's own words.";
    NoService "KD0703" Error "there is no such service to forward",
        "name the services with --service NAMESPACE/NAME[:PORT]",
        "The cluster has no Service of that name or port, or no LoadBalancer of the stack. Only TCP ports can be forwarded.";
    TunnelRuns "KD0704" Locked "a tunnel of this stack runs already",
        "`kedactl tunnel status` shows it, `kedactl tunnel stop` ends it",
        "A stack has one tunnel, which serves any number of services. The message names the process that has it.";
    NoTunnel "KD0705" Error "no tunnel runs",
        "`kedactl tunnel --detach` starts one",
        "There is no tunnel of this stack on this machine, or it was killed. After a kill, EXTERNAL-IP may still be set until the next start or stop repairs it.";
    TunnelFailed "KD0706" Error "the tunnel failed",
        "the message names the log; `kedactl tunnel stop` ends and repairs it",
        "The background process ended, does not answer, or could not take the EXTERNAL-IP of a service back.";
    ApiRefused "KD0707" Error "the API server refused",
        "the chain of causes has its own words; `kedactl doctor` checks the permissions that are needed",
        "The cluster answered and said no: a permission is missing, a quota is full, an admission webhook or a validation refused the object.";
    ClusterRefused "KD0801" Refused "the cluster is not the one that is meant",
        "if it is meant, pass --allow-cluster with the first characters of the UID that the message names",
        "A stack is bound to the cluster in which it was brought up, by the UID of its namespace kube-system. The name of a context proves nothing: another cluster behind the same name is refused, and so is one that was never allowed.";
    LockLost "KD0802" Locked "the lock on the stack was lost",
        "run the command again when the other one has ended",
        "Each run holds a Lease on the cluster and renews it. It could not be renewed in time, or another run took it; so this one stopped writing.";
    PlanStale "KD0803" Locked "the plan is stale",
        "make a new plan: `kedactl plan --out FILE`",
        "The cluster or the configuration is not what it was when the plan was made. What a plan says is carried out exactly, or not at all.";
    Ownership "KD0804" Error "something belongs to somebody else",
        "the message names the object and its owner: rename yours, or let that owner give it up",
        "An object of that name exists and is not this stack's, or a field of it is managed by another program. kedactl takes neither by force.";
    KindMissing "KD0805" Config "the cluster does not know a kind of object",
        "install what defines it first; `kedactl doctor` checks KEDA's definitions",
        "The API server does not serve this apiVersion and kind: its CustomResourceDefinition is missing, or the cluster is too old or too new for it.";
    Stuck "KD0806" NotReady "an object does not go away",
        "the message names what holds it",
        "It was deleted, and a finalizer or its content keeps it. kedactl removes no finalizer of others while the one whose task it is can still do it.";
    Elsewhere "KD0807" Error "the stack runs somewhere else",
        "take it down where it runs (`kedactl down`), or give this one another name with --stack",
        "A name stands for one stack in one place. This one is recorded elsewhere: on another cluster, or on this machine and on a cluster at once.";
    NoAddress "KD0808" Error "the stack cannot be reached from here",
        "`kedactl tunnel --detach` brings its services to this machine",
        "The stack runs in a cluster, and the service that the command needs has no address outside: no tunnel runs, and there is no Ingress.";
    Unplannable "KD0809" Error "no plan can be kept",
        "run `kedactl up` without a plan, or cure first what `kedactl plan` shows as refused",
        "A plan is bound to the cluster that it was made for, and says what is done word by word. Where the cluster is still to be made, or where `up` would be refused, there is nothing that could be carried out later.";
    ToolRefused "KD0901" Error "a program that kedactl drives failed",
        "the message has its last words; run it again with -vv for the command line",
        "helm, kind or the container engine ended with a failure, or said that it succeeded and its effect is not there.";
    ToolTooOld "KD0902" Error "a program is too old",
        "install a newer one, or name it in the values",
        "The program is older than the oldest that kedactl is tested with.";
    ReleaseLocked "KD0903" Locked "a Helm release is locked",
        "run `kedactl up` again: it repairs the lock while it holds the stack",
        "An operation on the release began and did not end: it runs still, or it was killed. Helm refuses every other one until that is cleared.";
    Chart "KD0904" Error "a chart cannot be used",
        "the message names the chart; check its address and version under `releases`",
        "The chart could not be read: it is damaged, is no chart, or lacks what its declaration promises.";
    OtherCluster "KD0905" Error "a cluster of that name was made otherwise",
        "delete it where it is yours, or choose another name",
        "kind has a cluster of this name that was made from another configuration, or minikube a profile of it that is not what the values ask for. Neither is it changed, nor is another made in its place.";
    ChartDigest "KD1001" Error "a chart is not the one that was pinned",
        "find out who changed the archive; where it is meant, give the release the new `digest`",
        "A release pins the SHA-256 of its chart's archive, or the lock of a folder of vendored charts does. The archive is another one, whatever its name and version say. Nothing of it was kept or used.";
    ChartSource "KD1002" Unreachable "a chart's source did not give it",
        "check that the address is reached from here; `kedactl charts pull --to DIR` on a machine that reaches it, and `helm.vendored`, do without it",
        "The repository or registry was not reached, was busy for longer than a person would wait, or its download was cut each time. What is cut never counts as a chart.";
    ChartFindings "KD1003" CheckFailed "charts and values do not work together",
        "each finding above has the values that cure it; `kedactl charts check --fix FILE` writes them into a values file",
        "`kedactl charts check` rendered the releases and found pairs of charts and values that are known to fail, before they are installed. Each names the issues in which others met it.";
    MinikubeFailed "KD1101" Error "minikube did not do what it was asked to",
        "the hint has minikube's own advice; `minikube logs -p PROFILE` says more, and logs of what could not be made are in the stack's folder",
        "minikube's exit codes name what it blames, ten to a source: itself, memory and disk, this machine, the internet, the driver, the engine, the network, a node, the container runtime, the control plane, a service.";
    NeedsRoot "KD1102" Error "`minikube tunnel` would ask for a password",
        "run `sudo -v` right before, or take kedactl's own tunnel, which needs no root: leave out tunnel.mode and --mode",
        "`minikube tunnel` adds a route with sudo. In the background nobody would see the question for a password, and the tunnel would wait for ever.";
    OtherMinikubeTunnel "KD1103" Error "somebody runs `minikube tunnel` for this profile",
        "end it where it runs, or use it: it serves every Service of type LoadBalancer",
        "Two of them would fight for the route. This one was not started by kedactl, so that kedactl does not end it.";
    RouteLeft "KD1104" Error "`minikube tunnel` had to be killed",
        "the next `minikube tunnel` of the profile removes the route; `ip route` shows it",
        "It was sent SIGINT, the one signal that it hears, and did not end in time. A kill leaves the route that it added.";
    NotHad "KD1201" Error "an image could not be had",
        "check its name and platform; --from-archive FILE takes it from a file of `docker save`",
        "A bundle needs every image that its objects lead to. No registry and no file gave this one, gave it for another platform, or gave other bytes than it said. Nothing is left out in silence.";
    NoBundle "KD1202" Config "a file is no bundle that can be used",
        "`kedactl bundle create PATH` makes one; use the kedactl that made it",
        "The path leads to no bundle, or to one that another version of kedactl made: its charts and values were written for that one.";
    BundleIncomplete "KD1203" CheckFailed "a bundle is not whole or not enough",
        "make the bundle again; each finding says what is missing",
        "A blob of the bundle is missing or was changed, or something that the configuration leads to is not inside: a chart, or an image of some object. Without a network it could not be had later.";
    Recipe "KD1301" Error "an image cannot be made from its recipe",
        "the message says what is missing; docs/foreign-workers.md has a recipe that works",
        "images.recipes says what the worker's image is made from: programs of this machine, a Python interpreter, packages that are pinned by hashes, files. The interpreter does not answer, or pip could not fetch the packages.";
    Machine "KD1401" Error "this machine cannot have what is asked for",
        "the message names what is missing or in use; `kedactl doctor` looks at all of it",
        "A cluster or a tunnel needs something of this machine that it lacks or that another program has: memory, room on the disk, a container engine that answers, a kernel's setting, a port. Nothing was started.";
    StackThere "KD1402" Error "the stack is there already",
        "take it down (`kedactl down --purge`), or give the run another name with --stack",
        "A run of CI takes down what it brings up, with its data. It therefore begins only where no stack of that name is recorded.";
    RunExpired "KD1403" NotReady "the time of the whole run was over",
        "the artifacts show where the time went (timeline.txt); --timeout gives the run more",
        "A run of CI has a time for everything together. What ran when it was over was ended, the artifacts were kept, and the stack was taken down.";
    CommandFailed "KD1404" Error "the command of the run failed",
        "its output is in command.log among the artifacts",
        "The command behind `--` ended with a failure while the stack was up. Everything that a look at the stack needs was kept, and the stack was taken down.";
}
