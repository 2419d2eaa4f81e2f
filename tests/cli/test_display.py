from readability_triton.cli.display import console, progress


def test_without_a_terminal_the_title_goes_to_standard_error_and_nothing_to_standard_output(capsys):
    with progress("counting sheep", 3) as on_progress:
        on_progress(2)
        on_progress(1)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "counting sheep …\n"


def test_messages_for_people_go_to_standard_error(capsys):
    console.print("careful")
    assert capsys.readouterr() == ("", "careful\n")
