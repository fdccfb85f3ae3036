//! The image of a Python application, made by its recipe and run.
//!
//! It must not fetch packages from an index: what is installed comes from a wheel that the test writes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use kedactl_exec::{Run, find};
use kedactl_testkit::skipped;
use kedactl_tests::Context;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A wheel is a zip with a list of its files; Python writes it, as it has the format.
const WHEEL: &str = r#"
import base64, hashlib, sys, zipfile
files = {
    "greeting/__init__.py": "WORDS = 'hello from a package'\n",
    "greeting-1.2.dist-info/METADATA": "Metadata-Version: 2.4\nName: greeting\nVersion: 1.2\nLicense-Expression: MIT\n\nName: not this\n",
    "greeting-1.2.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
record = ""
for name, text in files.items():
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    record += f"{name},sha256={digest},{len(text)}\n"
files["greeting-1.2.dist-info/RECORD"] = record + "greeting-1.2.dist-info/RECORD,,\n"
path = sys.argv[1] + "/greeting-1.2-py3-none-any.whl"
with zipfile.ZipFile(path, "w") as wheel:
    for name, text in files.items():
        wheel.writestr(name, text)
print(hashlib.sha256(open(path, "rb").read()).hexdigest())
"#;

/// What the application says of its world.
const APP: &str = "import decimal, greeting, json, os, ssl, sys, uuid
print(json.dumps({'words': greeting.WORDS, 'user': os.environ.get('WHO'), 'here': os.getcwd(), 'argument': sys.argv[1],
                  'prefix': sys.prefix, 'tls': ssl.OPENSSL_VERSION[:7]}))
";

const RECIPE: &str = "
images:
  recipes:
    worker:
      python: {requirements: requirements.txt}
      files: {/app: app}
      workingDir: /app
      env: {WHO: nobody}
      stopSignal: SIGINT
";

/// A project with an application, a wheel that it needs, and no index; nothing where Python or pip is missing.
fn project() -> Option<Context> {
    let Ok(python) = find("python3") else {
        skipped("no python3");
        return None;
    };
    if Run::new(&python)
        .args(["-m", "pip", "--version"])
        .run()
        .is_err()
    {
        skipped("python3 has no pip");
        return None;
    }
    let context = Context::new(env!("CARGO_BIN_EXE_kedactl-under-test"))
        .with_env("PIP_NO_INDEX", "1")
        .with_env("PIP_FIND_LINKS", "../wheels");
    let folder = context.dir().join("wheels");
    fs::create_dir(&folder).unwrap();
    let wheel = Run::new(&python).args(["-I", "-c", WHEEL]).arg(&folder);
    let hash = wheel.run().unwrap().stdout.trim().to_owned();
    context.write(
        "requirements.txt",
        &format!("greeting==1.2 --hash=sha256:{hash}\n"),
    );
    context.write("kedactl.yaml", RECIPE);
    context.write("app/main.py", APP);
    context.write("app/.env", "not for an image");
    Some(context)
}

fn build(context: &Context) -> Value {
    let api = env!("CARGO_BIN_EXE_api-under-test");
    let built = context.run(&["images", "build", "--api", api, "-o", "json"]);
    built.expect(0).json()["images"][1].clone()
}

fn blob(context: &Context, digest: &Value) -> PathBuf {
    let name = &digest.as_str().unwrap()[7..];
    context.dir().join("state/images/blobs/sha256").join(name)
}

fn document(context: &Context, digest: &Value) -> Value {
    serde_json::from_slice(&fs::read(blob(context, digest)).unwrap()).unwrap()
}

fn manifest(context: &Context, image: &Value) -> Value {
    document(context, &image["digest"])
}

/// All layers in a folder, as a node unpacks them.
fn unpacked(context: &Context, image: &Value) -> PathBuf {
    let root = context.dir().join("root");
    for layer in manifest(context, image)["layers"].as_array().unwrap() {
        let tar = Run::new("tar")
            .args(["--no-same-owner", "-xf"])
            .arg(blob(context, &layer["digest"]));
        fs::create_dir_all(&root).unwrap();
        tar.arg("-C").arg(&root).run().unwrap();
    }
    root
}

#[test]
fn an_application_runs_in_its_image_and_a_change_of_it_sends_its_own_layer() {
    let Some(context) = project() else {
        return;
    };
    let image = build(&context);
    assert_eq!(image, build(&context), "twice the same");
    let config = document(&context, &manifest(&context, &image)["config"]["digest"]);
    let how = &config["config"];
    assert_eq!(
        (&how["StopSignal"], &how["User"]),
        (&"SIGINT".into(), &"65532:65532".into())
    );
    assert_eq!(
        (&how["WorkingDir"], &how["Entrypoint"][0]),
        (&"/app".into(), &"/usr/bin/python3".into())
    );
    let bill = fs::read_to_string(blob(&context, &image["sbom"])).unwrap();
    assert!(
        bill.contains("pkg:pypi/greeting@1.2") && bill.contains("pkg:generic/python@3"),
        "{bill}"
    );

    let root = unpacked(&context, &image);
    assert!(!root.join("app/.env").exists(), "what is hidden stays out");
    let left = Run::new("find")
        .arg(&root)
        .args(["-name", "*.pyc", "-o", "-name", "RECORD"]);
    assert_eq!(left.run().unwrap().stdout, "");
    runs(&root, how);

    context.write("app/main.py", "print('new')\n");
    let changed = build(&context);
    let layers = |it: &Value| manifest(&context, it)["layers"].as_array().unwrap().clone();
    let (before, after) = (layers(&image), layers(&changed));
    assert_eq!(
        before.len(),
        4,
        "libraries, interpreter, packages, application"
    );
    assert_eq!(before[..3], after[..3]);
    assert_ne!(before[3], after[3]);
    assert!(after[3]["size"].as_u64() < Some(32 * 1024), "{after:?}");
}

/// Runs the application with nothing but the image's files.
fn runs(root: &Path, how: &Value) {
    if !rustix::process::geteuid().is_root() {
        skipped("chroot needs root");
        return;
    }
    let mut run = Run::new("chroot").arg("--userspec=65532:65532").arg(root);
    run = run.args(["/usr/bin/python3", "/app/main.py", "x"]);
    for pair in how["Env"].as_array().unwrap() {
        let (name, value) = pair.as_str().unwrap().split_once('=').unwrap();
        if name != "PATH" {
            run = run.env(name, value);
        }
    }
    let said: Value = serde_json::from_str(&run.run().unwrap().stdout).unwrap();
    assert_eq!(said["words"], "hello from a package");
    assert_eq!(
        (&said["user"], &said["argument"]),
        (&"nobody".into(), &"x".into())
    );
    assert_eq!(
        (&said["prefix"], &said["tls"]),
        (&"/usr".into(), &"OpenSSL".into())
    );
}

#[test]
fn what_a_recipe_lacks_is_named_with_its_cure() {
    let Some(context) = project() else {
        return;
    };
    let refused = |set: &str, code: i32| {
        let api = env!("CARGO_BIN_EXE_api-under-test");
        let run = context.run(&["images", "build", "--api", api, "--set", set]);
        run.check(code);
        run.stderr
    };
    let told = refused("images.recipes.worker.python.program=/bin/true", 1);
    assert!(
        told.contains("KD1301") && told.contains("/bin/true is no Python interpreter"),
        "{told}"
    );
    let told = refused("images.recipes.worker.files={/app: nowhere}", 1);
    assert!(
        told.contains("could not read") && told.contains("project/nowhere"),
        "{told}"
    );
    let told = refused("images.recipes.worker.files={app: app}", 1);
    assert!(
        told.contains("`app/main.py` is not an absolute path"),
        "{told}"
    );
    context.write("requirements.txt", "greeting==1.2\n");
    let told = refused("images.recipes.worker.env={}", 1);
    assert!(
        told.contains("KD1301") && told.contains("--hash=sha256:"),
        "{told}"
    );
    context.write(
        "requirements.txt",
        &format!("greeting==1.2 --hash=sha256:{}\n", "0".repeat(64)),
    );
    let told = refused("images.recipes.worker.env={}", 1);
    assert!(
        told.contains("KD1301") && told.contains("pin every package"),
        "{told}"
    );
    let kept = fs::read_dir(context.dir().join("state/packages")).unwrap();
    let names = kept.map(|it| it.unwrap().file_name().to_string_lossy().into_owned());
    let partial: Vec<_> = names.filter(|it| it.starts_with("new-")).collect();
    assert!(
        partial.is_empty(),
        "nothing half-fetched is kept: {partial:?}"
    );
}
