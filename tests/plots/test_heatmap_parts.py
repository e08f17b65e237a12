from lwlab.plots.heatmap_parts import cell_axis, cividis, number_trace


def test_cividis_is_bent_to_where_its_colours_should_differ():
    straight, bent = cividis(lambda place: place), cividis(lambda place: place**2)
    assert [color for _, color in straight] == [color for _, color in bent]
    assert straight[2] == [0.25, "#434e6c"]
    assert bent[2] == [0.0625, "#434e6c"]
    assert (bent[0][0], bent[-1]) == (0, [1, "#fee838"])


def test_an_axis_counts_cells_and_calls_them_by_name():
    found = cell_axis("class", ["cat", "dog"], [1.5, -0.5], tickangle=-40)
    assert (found["tickvals"], found["ticktext"]) == ([0, 1], ["cat", "dog"])
    assert (found["range"], found["tickangle"]) == ([1.5, -0.5], -40)


def test_numbers_are_white_on_dark_and_black_on_light_cells():
    scale = cividis(lambda place: place)
    trace = number_trace([(0, 1, 0.0, "low"), (2, 1, 1.0, "high")], scale)
    assert (trace["x"], trace["y"], trace["text"]) == ([0, 2], [1, 1], ["low", "high"])
    assert trace["textfont"]["color"] == ["white", "black"]
