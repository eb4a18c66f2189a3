use clap::Args;
use clap_complete::Shell;

use crate::complete;
use crate::output::stream;

/// Print the script that completes commands and experiment names
///
/// The script asks `exp` itself for candidates, so it stays right when exp is updated.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    bash        exp completions bash > ~/.local/share/bash-completion/completions/exp\n  \
    zsh         exp completions zsh > ~/.zfunc/_exp    # with ~/.zfunc in fpath\n  \
    fish        exp completions fish > ~/.config/fish/completions/exp.fish\n  \
    powershell  exp completions powershell >> $PROFILE\n  \
    elvish      exp completions elvish >> ~/.config/elvish/rc.elv")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let Some(script) = complete::script(self.shell) else {
            anyhow::bail!("there is no completion for {}", self.shell);
        };
        stream::print(script)
    }
}
